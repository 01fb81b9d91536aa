-- A node joins. One of the same instance renews its lease and keeps its join.
-- ARGV: 1 life, 2 role, 3 id, 4 instance, 5 lease in ms, 6 record
-- Answer: 'lost'; 'in use' and how long in ms; 'ok', its join, the time in us
-- Where another instance's lease has ended, that one ends here.
if redis.call('GET', base .. 'life') ~= ARGV[1] then
  return { 'lost' }
end
local role, id, instance = ARGV[2], ARGV[3], ARGV[4]
local member = role .. ':' .. id
local lease = tonumber(ARGV[5])
local leaseEnd = redis.call('ZSCORE', base .. 'leases', member)
local join = redis.call('HGET', base .. 'joins', member)
if leaseEnd and redis.call('HGET', base .. 'instances', member) ~= instance then
  local left = tonumber(leaseEnd) - nowMs
  if left > 0 then
    return { 'in use', digits(left) }
  end
  finish(member, '0')
  leaseEnd = false
end
if not leaseEnd or not join then
  local number = math.max(nowUs, tonumber(redis.call('GET', base .. 'join') or '0') + 1)
  join = digits(number)
  redis.call('SET', base .. 'join', join)
  redis.call('HSET', base .. 'joins', member, join)
  redis.call('HSET', base .. 'instances', member, instance)
  if role == 'ds' then
    redis.call('HSET', base .. 'steady', id, digits(nowMs))
  end
end
redis.call('HSET', base .. 'nodes', member, ARGV[6])
redis.call('ZADD', base .. 'leases', nowMs + lease, member)
return { 'ok', join, digits(nowUs) }
