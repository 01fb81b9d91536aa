-- The ended cs nodes that this ds is to settle: those that nobody has, or a ds without a lease.
-- ARGV: 1-3 as every member
-- Answer: 'ok', then field, instance, left, time of judgement and of the lease's end in ms, ... of
-- all that this ds has now
local no = refusal()
if no then
  return { no }
end
local answer = { 'ok' }
local all = redis.call('HGETALL', base .. 'unsettled')
for at = 1, #all, 2 do
  local taken = fields(all[at + 1])
  local mine = taken[1] == ARGV[2] and taken[2] == ARGV[3]
  if not mine and not lives('ds:' .. taken[1], taken[2]) then
    mine = true
    taken[1], taken[2] = ARGV[2], ARGV[3]
    local settles = table.concat(taken, '\0')
    redis.call('HSET', base .. 'unsettled', all[at], settles)
  end
  if mine then
    answer[#answer + 1] = all[at]
    for field = 3, 6 do
      answer[#answer + 1] = taken[field]
    end
  end
end
return answer
