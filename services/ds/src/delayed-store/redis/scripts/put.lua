-- Puts a message that waits for its time.
-- KEYS  1 due       sorted set: id by due time, ms
--       2 records   hash: id -> message
--       3 figures   hash: last (id), bytes
--       4 inbound   of a QoS 2 publish: session and id of the message that was put for it
-- ARGV  1 due time, ms; below 0: from now on, ms, negated and less 1  2 record  3 size as counted
--       4 messages at most  5 bytes at most  6 session of the publish, '' where it is not of QoS 2
--       7 for how long the publish is known, ms
-- Out   0 put (or it was before), 1 too many messages, 2 too many bytes; number, bytes
local count = redis.call('ZCARD', KEYS[1])
local bytes = tonumber(redis.call('HGET', KEYS[3], 'bytes') or '0')
if ARGV[6] ~= '' then
  local known = redis.call('GET', KEYS[4])
  if known == ARGV[6] then return { 0, count, bytes } end
end
local size = tonumber(ARGV[3])
if count >= tonumber(ARGV[4]) then return { 1, count, bytes } end
if bytes + size > tonumber(ARGV[5]) then return { 2, count, bytes } end
local dueMs = tonumber(ARGV[1])
if dueMs < 0 then
  local time = redis.call('TIME')
  dueMs = time[1] * 1000 + math.floor(time[2] / 1000) - dueMs - 1
end
-- Those of one time are in the order of their ids, as texts.
local id = string.format('%016.0f', redis.call('HINCRBY', KEYS[3], 'last', 1))
redis.call('HSET', KEYS[2], id, ARGV[2])
redis.call('ZADD', KEYS[1], string.format('%.0f', dueMs), id)
bytes = redis.call('HINCRBY', KEYS[3], 'bytes', ARGV[3])
if ARGV[6] ~= '' then redis.call('SET', KEYS[4], ARGV[6], 'PX', ARGV[7]) end
return { 0, count + 1, bytes }
