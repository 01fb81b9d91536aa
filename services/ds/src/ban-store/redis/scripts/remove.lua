-- Removes a ban.
-- KEYS  1 bans  2 ends  3 log, as in put.lua
-- ARGV  1 key of the ban  2 change  3 changes that the log keeps
-- Out   record of the ban that was there, '' where there was none
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return '' end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('LPUSH', KEYS[3], ARGV[2])
redis.call('LTRIM', KEYS[3], 0, ARGV[3] - 1)
return record
