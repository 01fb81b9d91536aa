-- Reads one version of a topic's message.
--
-- KEYS  1 records   hash: topic -> record
--       2 replaced  hash: order key and topic -> record
-- ARGV  1 topic, 2 order key (12 bytes)
-- Reply the record, or nothing

local headBytes = 22
local current = redis.call('HGET', KEYS[1], ARGV[1])
local isMessage = current and #current > headBytes
if isMessage and string.sub(current, 1, 12) == ARGV[2] then return current end
return redis.call('HGET', KEYS[2], ARGV[2] .. ARGV[1])
