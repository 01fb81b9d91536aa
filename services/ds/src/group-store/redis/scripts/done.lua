-- Places of groups that count as done.
-- KEYS  (group, its done set) …
-- ARGV  (count, 'partition offset' …) …, one for each group
-- Out   1
local at = 1
for index = 1, #KEYS, 2 do
  local last = at + tonumber(ARGV[at])
  if redis.call('EXISTS', KEYS[index]) == 1 then
    for one = at + 1, last do redis.call('SADD', KEYS[index + 1], ARGV[one]) end
  end
  at = last + 1
end
return 1
