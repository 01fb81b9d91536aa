-- A session ends now, connected or not; its will becomes due (noted before).
-- KEYS  1 session  2 wills of the client
-- ARGV  1 epoch  2 noted at, ms  3 how long that holds, ms
-- Out   'late' | 'gone' (ended, or claimed since) | 'removed', waiting
local session, wills = KEYS[1], KEYS[2]
local head = redis.call('HMGET', session, 'E', 'W', 'Q')
if head[1] ~= ARGV[1] then return { 'gone' } end
if now > tonumber(ARGV[2]) + tonumber(ARGV[3]) then return { 'late' } end
if isPending(wills, head[2]) then setDue(wills, head[2], now) end
redis.call('DEL', session)
return { 'removed', head[3] or '' }
