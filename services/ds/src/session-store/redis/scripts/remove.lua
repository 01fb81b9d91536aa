-- A session ends now, connected or not; its will becomes due (noted before).
-- KEYS  1 session  2 wills of the client
-- ARGV  1 epoch  2 noted at, ms  3 how long that holds, ms
-- Out   'late' | 'gone' (ended, or claimed since) | 'removed', waiting
local session, wills = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local head = redis.call('HMGET', session, 'E', 'W', 'Q')
if head[1] ~= ARGV[1] then return { 'gone' } end
if now > tonumber(ARGV[2]) + tonumber(ARGV[3]) then return { 'late' } end
local due = head[2] and tonumber(redis.call('HGET', wills, 'd' .. head[2]) or '-1') or -1
if due == 0 or due > now then
  redis.call('HSET', wills, 'd' .. head[2], string.format('%.0f', now))
end
redis.call('DEL', session)
return { 'removed', head[3] or '' }
