-- A member leaves, unless it has entered again; the group ends with its last one.
-- KEYS  1 groups by name  2 group  3 its members  4 its done set  5 owners  6 texts of owned things
-- ARGV  1 id  2 member  3 epoch  4 what it is as an owned thing
-- Out   1 the group is no more | 0
if redis.call('EXISTS', KEYS[2]) == 0 then return 1 end
local entered = tonumber(redis.call('HGET', KEYS[3], ARGV[2]) or '0')
if entered <= tonumber(ARGV[3]) then redis.call('HDEL', KEYS[3], ARGV[2]) end
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
local name = redis.call('HGET', KEYS[2], 'name')
if redis.call('HGET', KEYS[1], name) == ARGV[1] then redis.call('HDEL', KEYS[1], name) end
redis.call('DEL', KEYS[2], KEYS[4])
redis.call('HDEL', KEYS[5], ARGV[4])
redis.call('HDEL', KEYS[6], ARGV[4])
return 1
