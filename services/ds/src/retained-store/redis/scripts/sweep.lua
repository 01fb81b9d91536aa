-- Ends what has expired and forgets what is no longer needed, so much at a time.
--
-- KEYS  1 records, 2 topics, 3 gone, 4 expiring, 5 replaced, 6 kept, 7 pins, 8 figures: as in
--       put.lua; 9 pinned: as in pin.lua
-- ARGV  1 of each kind at most, 2 to 4 in ms: how long a replaced version is kept, how long one
--       that is pinned, how long a record without a message
-- Reply count, bytes

local head = '>I6I6I6I4'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local figures = redis.call('HMGET', KEYS[8], 'count', 'bytes')
local count, bytes = tonumber(figures[1] or 0), tonumber(figures[2] or 0)

local function due(key)
  return redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, ARGV[1])
end

local ended = due(KEYS[4])
for _, topic in ipairs(ended) do
  redis.call('ZREM', KEYS[4], topic)
  local record = redis.call('HGET', KEYS[1], topic)
  if record then
    local placement, offset, expires, size = struct.unpack(head, record)
    if size > 0 and expires > 0 and expires <= now then
      local field = string.sub(record, 1, 12) .. topic
      local keptMs = redis.call('HEXISTS', KEYS[7], field) == 1 and ARGV[3] or ARGV[2]
      redis.call('HSET', KEYS[5], field, record)
      redis.call('ZADD', KEYS[6], now + keptMs, field)
      redis.call('HSET', KEYS[1], topic, struct.pack(head, placement, offset, 0, 0))
      redis.call('ZREM', KEYS[2], topic)
      redis.call('ZADD', KEYS[3], now + ARGV[4], topic)
      count, bytes = count - 1, bytes - size
    end
  end
end
if #ended > 0 then redis.call('HSET', KEYS[8], 'count', count, 'bytes', bytes) end

for _, topic in ipairs(due(KEYS[3])) do
  local record = redis.call('HGET', KEYS[1], topic)
  if record then
    local _, _, _, size = struct.unpack(head, record)
    if size == 0 then redis.call('HDEL', KEYS[1], topic) end
  end
  redis.call('ZREM', KEYS[3], topic)
end

for _, field in ipairs(due(KEYS[6])) do
  redis.call('HDEL', KEYS[5], field)
  redis.call('ZREM', KEYS[6], field)
end

for _, field in ipairs(due(KEYS[9])) do
  redis.call('HDEL', KEYS[7], field)
  redis.call('ZREM', KEYS[9], field)
end

return { count, bytes }
