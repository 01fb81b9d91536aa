-- Queues that every ds has closed: from now on nobody takes them back.
-- ARGV: 1-3 as every member, then names
-- Answer: 'ok', then name, queue, place, ... of those that this ds is to delete
local no = refusal()
if no then
  return { no }
end
local answer = { 'ok' }
for at = 4, #ARGV do
  local entry = redis.call('HGET', base .. 'closing', ARGV[at])
  local closed = entry and fields(entry)
  if closed and closed[3] == ARGV[2] and closed[4] == ARGV[3] then
    closed[5] = 'deleting'
    redis.call('HSET', base .. 'closing', ARGV[at], table.concat(closed, '\0'))
    answer[#answer + 1] = ARGV[at]
    answer[#answer + 1] = closed[1]
    answer[#answer + 1] = closed[2]
  end
end
return answer
