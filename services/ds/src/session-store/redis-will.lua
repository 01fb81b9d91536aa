-- What became of a will that was taken.
-- KEYS  1 wills of the client
-- ARGV  1 number  2 '' it was sent, else after how many ms it is due again
-- Out   1
local wills = KEYS[1]
if ARGV[2] ~= '' then
  if redis.call('HEXISTS', wills, 'd' .. ARGV[1]) == 0 then return 1 end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('HSET', wills, 'd' .. ARGV[1], string.format('%.0f', now + tonumber(ARGV[2])))
  redis.call('HDEL', wills, 't' .. ARGV[1])
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
