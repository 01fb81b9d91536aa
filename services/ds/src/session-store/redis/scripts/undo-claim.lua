-- A claim that nobody was told of: the client is not connected and leaves no will.
-- KEYS  1 session  2 wills of the client
-- ARGV  1 ds  2 node  3 handle
-- Out   now, ms; waiting. The due time of its expiry was noted before.
local session, wills = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local nowText = string.format('%.0f', now)
local head = redis.call('HMGET', session, 'H', 'N', 'I', 'C', 'X', 'W', 'Q')
if head[1] ~= ARGV[1] or head[2] ~= ARGV[2] or head[3] ~= ARGV[3] or head[4] ~= '1' then
  return { nowText, '' }
end
if head[6] then
  for _, field in ipairs({ 'r', 'd', 'y', 't', 'k', 'a' }) do
    redis.call('HDEL', wills, field .. head[6])
  end
end
local expiryS = tonumber(head[5])
if expiryS == 0 then
  redis.call('DEL', session)
else
  local expires = expiryS == 4294967295 and '0' or string.format('%.0f', now + expiryS * 1000)
  redis.call('HSET', session, 'C', '0', 'T', expires)
  redis.call('HDEL', session, 'W', 'Q')
end
return { nowText, head[7] or '' }
