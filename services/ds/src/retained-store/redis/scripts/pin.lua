-- Counts who holds a version, so that it is kept when it is replaced. What a node that died has
-- counted is forgotten in the end.
--
-- KEYS  1 replaced  hash: order key and topic -> record
--       2 kept      sorted set: fields of `replaced` by when they may go
--       3 pins      hash: order key and topic -> how many hold that version
--       4 pinned    sorted set: fields of `pins` by when they may go
-- ARGV  1 and 2 in ms: how long a replaced version is kept, how long one that is pinned;
--       then for each version: 1 or -1, order key and topic
-- Reply nothing

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

for at = 3, #ARGV, 2 do
  local step, field = ARGV[at], ARGV[at + 1]
  local replaced = redis.call('HEXISTS', KEYS[1], field) == 1
  if redis.call('HINCRBY', KEYS[3], field, step) > 0 then
    redis.call('ZADD', KEYS[4], now + ARGV[2], field)
    if replaced then redis.call('ZADD', KEYS[2], now + ARGV[2], field) end
  else
    redis.call('HDEL', KEYS[3], field)
    redis.call('ZREM', KEYS[4], field)
    -- Never later than it was.
    if replaced then redis.call('ZADD', KEYS[2], 'LT', now + ARGV[1], field) end
  end
end
