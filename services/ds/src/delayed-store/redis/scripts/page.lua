-- A page of the messages that wait, in the order of their times and ids.
-- KEYS  1 due  2 records
-- ARGV  1 due time and 2 id of the last one of the page before; '-inf' and '': the first page
--       3 messages at most
-- Out   id, due time, record …
local reply, count, from = {}, 0, 0
while count < tonumber(ARGV[3]) do
  local page = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', from, 100)
  if #page == 0 then break end
  from = from + #page / 2
  for at = 1, #page, 2 do
    local isAfter = tonumber(page[at + 1]) ~= tonumber(ARGV[1]) or page[at] > ARGV[2]
    local record = isAfter and count < tonumber(ARGV[3]) and redis.call('HGET', KEYS[2], page[at])
    if record then
      count = count + 1
      reply[#reply + 1] = page[at]
      reply[#reply + 1] = page[at + 1]
      reply[#reply + 1] = record
    end
  end
end
return reply
