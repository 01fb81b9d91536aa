-- Reads the records of topics, as many as fit.
--
-- KEYS  1 records   hash: topic -> record
-- ARGV  1 bytes at most; the first record comes whatever its size; then topics
-- Reply the records in the order of the topics, empty where there is none; fewer where they are
--       too large together

local bytes = 0
local records = {}
for at = 2, #ARGV do
  local record = redis.call('HGET', KEYS[1], ARGV[at]) or ''
  bytes = bytes + #record
  if #records > 0 and bytes > tonumber(ARGV[1]) then break end
  records[#records + 1] = record
end
return records
