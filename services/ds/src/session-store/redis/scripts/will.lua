-- Outcome of a will that was taken.
-- KEYS  1 wills of the client
-- ARGV  1 number  2 'sent' | 'failed': it is due still | 'sending': it is the taker's for longer
--       3 who has taken it  4 for how long, ms
-- Out   1. Only its last taker may say that it failed, or keep it.
local wills = KEYS[1]
if ARGV[2] ~= 'sent' then
  local taken = redis.call('HGET', wills, 't' .. ARGV[1])
  if not taken or taken:match('^%S+') ~= ARGV[3] then return 1 end
  if ARGV[2] == 'failed' then
    redis.call('HDEL', wills, 't' .. ARGV[1])
  else
    local untilText = textOf(now + tonumber(ARGV[4]))
    redis.call('HSET', wills, 't' .. ARGV[1], ARGV[3] .. ' ' .. untilText)
  end
  return 1
end
removeWill(wills, ARGV[1])
local graced = redis.call('HGET', wills, 'g')
if graced then
  local rest = {}
  for number in graced:gmatch('[^,]+') do
    if number ~= ARGV[1] then rest[#rest + 1] = number end
  end
  if #rest == 0 then
    redis.call('HDEL', wills, 'g')
  else
    redis.call('HSET', wills, 'g', table.concat(rest, ','))
  end
end
return 1
