-- Puts a ban, after those that have ended are gone.
-- KEYS  1 bans  hash: key of the ban -> record   2 ends  sorted set: keys by end, ms
--       3 log   list of changes, the newest first
-- ARGV  1 key of the ban  2 record  3 end, ms, '' none  4 'replace' | 'keep'  5 bans at most
--       6 change: an id of 36 characters, a space, the key  7 changes that the log keeps
-- Out   'put' | 'kept' | 'full'
local time = redis.call('TIME')
local nowMs = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for _, ended in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', nowMs, 'LIMIT', 0, 1000)) do
  redis.call('HDEL', KEYS[1], ended)
  redis.call('ZREM', KEYS[2], ended)
end
local endMs = redis.call('ZSCORE', KEYS[2], ARGV[1])
local hasEnded = endMs and tonumber(endMs) <= tonumber(nowMs)
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 and not hasEnded then
  if ARGV[4] == 'keep' then return 'kept' end
else
  -- More may have ended than are removed at once.
  local count = redis.call('HLEN', KEYS[1]) - redis.call('ZCOUNT', KEYS[2], '-inf', nowMs)
  if count >= tonumber(ARGV[5]) then return 'full' end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
end
redis.call('LPUSH', KEYS[3], ARGV[6])
redis.call('LTRIM', KEYS[3], 0, ARGV[7] - 1)
return 'put'
