-- Changed fields of one session.
-- KEYS  1 session
-- ARGV  1 epoch  2 ds  3 version before, or '' for any lesser  4 version  5 count of values to set
--       then field, value …, then fields to remove
-- Out   1 written  0 the session is not this ds's (any more)  2 not the next of its writes
-- The version keeps a write that was given up, and is sent again with what came later, from being
-- done after that: its bytes may still lie in a connection that was left.
local session = KEYS[1]
local head = redis.call('HMGET', session, 'E', 'H', 'C', 'V')
if head[1] ~= ARGV[1] or head[2] ~= ARGV[2] or head[3] ~= '1' then return 0 end
if ARGV[3] ~= '' then
  if head[4] ~= ARGV[3] then return 2 end
elseif tonumber(head[4]) >= tonumber(ARGV[4]) then
  return 2
end
-- Lua's stack is limited.
local chunk = 2000
local last = 5 + 2 * tonumber(ARGV[5])
for at = 6, last, chunk do
  redis.call('HSET', session, unpack(ARGV, at, math.min(at + chunk - 1, last)))
end
for at = last + 1, #ARGV, chunk do
  redis.call('HDEL', session, unpack(ARGV, at, math.min(at + chunk - 1, #ARGV)))
end
redis.call('HSET', session, 'V', ARGV[4])
return 1
