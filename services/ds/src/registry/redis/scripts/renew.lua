-- A ds renews its own lease and those of cs nodes, judges, and hears what has happened.
-- ARGV: 1-3 as every member, 4 lease in ms, 5 number up to which it has applied the log (0: not
--   yet), 6 number of the last end that it knows; then for each cs: id, instance, connections, 1 where
--   it drains
-- Answer: 'ok', last number of the log, a digit for each cs (0: judged), ends (number, line, ...),
--   ds nodes (id, record, 1 where it drains, ...)
-- It judges only after two leases of its own without a break, which is a renewal that comes a
-- third of the lease late: then the registry was away, or it was.
local no = refusal()
if no then
  return { no }
end
local last = redis.call('GET', base .. 'last') or '0'
local applied = tonumber(ARGV[5])
if applied > tonumber(last) then
  return { 'lost' }
end
local id, lease = ARGV[2], tonumber(ARGV[4])
local member = 'ds:' .. id
local before = tonumber(redis.call('ZSCORE', base .. 'leases', member)) - lease
local steady = tonumber(redis.call('HGET', base .. 'steady', id) or '0')
if steady == 0 or nowMs - before > lease * 2 / 3 then
  steady = nowMs
  redis.call('HSET', base .. 'steady', id, digits(nowMs))
end
redis.call('ZADD', base .. 'leases', nowMs + lease, member)
if applied > 0 and redis.call('HEXISTS', base .. 'applied', id) == 1 then
  redis.call('HSET', base .. 'applied', id, ARGV[5])
end

local results = {}
for at = 7, #ARGV, 4 do
  local cs = 'cs:' .. ARGV[at]
  local renewed = redis.call('HGET', base .. 'instances', cs) == ARGV[at + 1]
  if renewed then
    redis.call('ZADD', base .. 'leases', nowMs + lease, cs)
    redis.call('HSET', base .. 'connections', cs, ARGV[at + 2])
    redis.call(ARGV[at + 3] == '1' and 'SADD' or 'SREM', base .. 'draining', cs)
  end
  results[#results + 1] = renewed and '1' or '0'
end

if nowMs - steady >= 2 * lease then
  local past = nowMs - math.ceil(lease / 6)
  local over = redis.call('ZRANGEBYSCORE', base .. 'leases', '-inf', past, 'LIMIT', 0, 50)
  for _, other in ipairs(over) do
    finish(other, '0')
  end
end

local lines = redis.call('ZRANGEBYSCORE', base .. 'ended', '(' .. ARGV[6], '+inf', 'WITHSCORES',
  'LIMIT', 0, 100)
local ends = {}
for at = 1, #lines, 2 do
  ends[#ends + 1] = digits(tonumber(lines[at + 1]))
  ends[#ends + 1] = lines[at]
end
local nodes = {}
for _, other in ipairs(redis.call('ZRANGE', base .. 'leases', 0, -1)) do
  if string.sub(other, 1, 3) == 'ds:' then
    local ds = string.sub(other, 4)
    nodes[#nodes + 1] = ds
    nodes[#nodes + 1] = redis.call('HGET', base .. 'nodes', other) or '{}'
    nodes[#nodes + 1] = redis.call('SISMEMBER', base .. 'draining', ds)
  end
end
return { 'ok', last, table.concat(results), ends, nodes }
