-- Closes queues that nobody has held for a time, and takes over those whose ds has ended.
-- ARGV: 1-3 as every member, 4 time in ms, 5 queues at most
-- Answer: 'ok', number before, number, text, alive, names of all that this ds closes or deletes
local no = refusal()
if no then
  return { no }
end
local names = {}
local all = redis.call('HGETALL', base .. 'closing')
for at = 1, #all, 2 do
  local closed = fields(all[at + 1])
  local mine = closed[3] == ARGV[2] and closed[4] == ARGV[3]
  if not mine and not lives('ds:' .. closed[3], closed[4]) then
    closed[3], closed[4] = ARGV[2], ARGV[3]
    redis.call('HSET', base .. 'closing', all[at], table.concat(closed, '\0'))
    mine = true
  end
  if mine then
    names[#names + 1] = all[at]
  end
end
local left = tonumber(ARGV[5]) - #names
if left > 0 then
  local until_ = nowMs - tonumber(ARGV[4])
  local unheld = redis.call('ZRANGEBYSCORE', base .. 'unheld', '-inf', until_, 'LIMIT', 0, left)
  for _, queue in ipairs(unheld) do
    redis.call('ZREM', base .. 'unheld', queue)
    local stored = redis.call('HGET', base .. 'queues', queue)
    if stored then
      local name, place = unpack(fields(stored))
      redis.call('HDEL', base .. 'queues', queue)
      redis.call('HDEL', base .. 'ids', name)
      local closed = table.concat({ queue, place, ARGV[2], ARGV[3], 'closing' }, '\0')
      redis.call('HSET', base .. 'closing', name, closed)
      countOwn(name, place, -1)
      change('c', queue, '', '')
      names[#names + 1] = name
    end
  end
end
local before, number, text = append()
return { 'ok', before, number, text, alive(), names }
