-- A node leaves, by its own word.
-- ARGV: 1 role, 2 id, 3 instance
-- Answer: 1, or 0 where that instance has no lease
local member = ARGV[1] .. ':' .. ARGV[2]
if redis.call('HGET', base .. 'instances', member) ~= ARGV[3] then
  return 0
end
finish(member, '1')
return 1
