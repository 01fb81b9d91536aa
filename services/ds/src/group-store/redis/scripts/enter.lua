-- A member enters a group; the group is made where there is none of that name on that queue.
-- KEYS  1 groups by name  2 last identifier
-- ARGV  1 what the keys of a group begin with  2 name  3 queue  4 member  5 epoch  6 cursors, or ''
-- Out   'absent' | 'entered', id, cursors, 1 made | 0
local prefix = ARGV[1]
local id = redis.call('HGET', KEYS[1], ARGV[2])
local made = 0
if id then
  local queue = redis.call('HGET', prefix .. id, 'queue')
  if queue ~= ARGV[3] then
    redis.call('DEL', prefix .. id, prefix .. id .. ':members', prefix .. id .. ':done')
    redis.call('HDEL', KEYS[1], ARGV[2])
    id = false
  end
end
if not id then
  if ARGV[6] == '' then return { 'absent' } end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local last = tonumber(redis.call('GET', KEYS[2]) or '0')
  id = string.format('%.0f', math.max(now, last + 1))
  redis.call('SET', KEYS[2], id)
  redis.call('HSET', KEYS[1], ARGV[2], id)
  redis.call('HSET', prefix .. id, 'name', ARGV[2], 'queue', ARGV[3], 'cursors', ARGV[6])
  made = 1
end
redis.call('HSET', prefix .. id .. ':members', ARGV[4], ARGV[5])
return { 'entered', id, redis.call('HGET', prefix .. id, 'cursors'), made }
