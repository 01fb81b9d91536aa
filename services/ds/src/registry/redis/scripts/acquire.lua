-- Ownership of things: what nobody owns who has a lease goes to this ds.
-- ARGV: 1-3 as every member, then things
-- Answer: 'ok', then owner, epoch, ...
-- The epoch is the time in ms where that is higher, so that it grows over a loss.
local no = refusal()
if no then
  return { no }
end
local answer = { 'ok' }
for at = 4, #ARGV do
  local entry = redis.call('HGET', base .. 'owners', ARGV[at])
  local owner, join, epoch = unpack(entry and fields(entry) or { '', '', '0' })
  if not lives('ds:' .. owner, join) then
    owner, epoch = ARGV[2], digits(math.max(tonumber(epoch) + 1, nowMs))
    local owned = table.concat({ owner, ARGV[3], epoch }, '\0')
    redis.call('HSET', base .. 'owners', ARGV[at], owned)
  end
  answer[#answer + 1] = owner
  answer[#answer + 1] = epoch
end
return answer
