-- A claim that nobody was told of: the client is not connected and leaves no will.
-- KEYS  1 session  2 wills of the client
-- ARGV  1 ds  2 node  3 handle
-- Out   now, ms; waiting. The due time of its expiry was noted before.
local session, wills = KEYS[1], KEYS[2]
local nowText = textOf(now)
local head = redis.call('HMGET', session, 'H', 'N', 'I', 'C', 'X', 'W', 'Q')
if head[1] ~= ARGV[1] or head[2] ~= ARGV[2] or head[3] ~= ARGV[3] or head[4] ~= '1' then
  return { nowText, '' }
end
if head[6] then removeWill(wills, head[6]) end
local expiryS = tonumber(head[5])
if expiryS == 0 then
  redis.call('DEL', session)
else
  redis.call('HSET', session, 'C', '0', 'T', expiryOf(now, expiryS))
  redis.call('HDEL', session, 'W', 'Q')
end
return { nowText, head[7] or '' }
