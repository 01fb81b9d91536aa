-- The node of a connection ended: the session ends or is absent, as after a lost connection.
-- KEYS  1 session  2 wills of the client  3 end of a node
-- ARGV  1 cs  2 judged at, ms: what was noted later is of another instance  3 ended at, ms  4
-- grace, ms
--       5 a claim may be under way (0, 1)  6 for how long, ms  7 how long its cs may present it, ms
--       8 only the connection of this epoch; '': any
-- Out   1 ended | 0 not connected there, waiting
-- The due time was noted before. A claim under way finds the end of its node in key 3, and so does
-- a cs that lives all the same and presents a session of which nothing is left.
local session, wills = KEYS[1], KEYS[2]
if ARGV[5] == '1' then redis.call('SET', KEYS[3], ARGV[2] .. ' ' .. ARGV[1], 'PX', ARGV[6]) end
local head = redis.call('HMGET', session, 'S', 'N', 'C', 'X', 'W', 'Q', 'E')
if not head[1] or head[3] ~= '1' or tonumber(head[1]) > tonumber(ARGV[2]) then return { 0, '' } end
if ARGV[8] ~= '' and head[7] ~= ARGV[8] then return { 0, '' } end
if head[2] ~= ARGV[1] and head[2]:sub(1, #ARGV[1] + 1) ~= ARGV[1] .. '@' then return { 0, '' } end
local ended, graceMs = tonumber(ARGV[3]), tonumber(ARGV[4])
local expiryS, will = tonumber(head[4]), head[5]
if will and redis.call('HEXISTS', wills, 'd' .. will) == 1 then
  startDelay(wills, will, ended, expiryS, graceMs)
end
if expiryS == 0 then
  redis.call('DEL', session)
  redis.call('SET', KEYS[3], ARGV[2] .. ' ' .. ARGV[1], 'PX', ARGV[7])
else
  redis.call('HSET', session, 'C', '0', 'T', expiryOf(ended, expiryS))
  redis.call('HDEL', session, 'Q')
end
return { 1, head[6] or '' }
