-- Entries of the log after a number.
-- ARGV: 1-3 as every member, 4 number, 5 entries at most
-- Answer: 'ok', last number, then before, number, text, ...; 'trimmed' where what follows is no
--   longer there, 'lost' where the log has no such number
local no = refusal()
if no then
  return { no }
end
local from = ARGV[4]
local last = redis.call('GET', base .. 'last') or '0'
local answer = { 'ok', last }
if from == last then
  return answer
end
local log = base .. 'log'
local entries = redis.call('XRANGE', log, '(' .. from .. '-0', '+', 'COUNT', ARGV[5])
if #entries == 0 or entries[1][2][2] ~= from then
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)
  if #oldest == 1 and tonumber(from) < tonumber(oldest[1][2][2]) then
    return { 'trimmed' }
  end
  return { 'lost' }
end
for _, entry in ipairs(entries) do
  answer[#answer + 1] = entry[2][2]
  answer[#answer + 1] = string.match(entry[1], '^%d+')
  answer[#answer + 1] = entry[2][4]
end
return answer
