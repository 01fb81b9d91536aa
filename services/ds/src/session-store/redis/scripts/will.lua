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
    local time = redis.call('TIME')
    local untilMs = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[4])
    redis.call('HSET', wills, 't' .. ARGV[1], string.format('%s %.0f', ARGV[3], untilMs))
  end
  return 1
end
for _, field in ipairs({ 'r', 'd', 'y', 't', 'k', 'a' }) do
  redis.call('HDEL', wills, field .. ARGV[1])
end
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
