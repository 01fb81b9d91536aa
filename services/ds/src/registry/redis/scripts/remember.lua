-- Records a value for a key unless there is one.
-- ARGV: 1 kind, 2 key, 3 value; '' as the value: the lowest number that no key of the kind has had
-- Answer: what is stored
local records = base .. 'r:' .. ARGV[1]
local stored = redis.call('HGET', records, ARGV[2])
if stored then
  return stored
end
local value = ARGV[3]
if value == '' then
  value = tostring(redis.call('HLEN', records))
  local numbers = {}
  for _, number in ipairs(redis.call('HVALS', records)) do
    numbers[number] = true
  end
  while numbers[value] do
    value = tostring(tonumber(value) + 1)
  end
end
redis.call('HSET', records, ARGV[2], value)
return value
