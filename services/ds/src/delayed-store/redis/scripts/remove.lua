-- Removes a message that was sent, or cancels one that waits.
-- KEYS  1 due  2 records  3 figures  4 sending
-- ARGV  1 id  2 'sent' | 'cancel': only where nobody sends it  3 bytes that each counts beside its record
-- Out   1 removed | 0
if ARGV[2] == 'cancel' and redis.call('HEXISTS', KEYS[4], ARGV[1]) == 1 then return 0 end
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
local size = redis.call('HSTRLEN', KEYS[2], ARGV[1])
if redis.call('HDEL', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[3], 'bytes', -(size + tonumber(ARGV[3])))
return 1
