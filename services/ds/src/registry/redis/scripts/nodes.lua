-- For scripts that end nodes.
local endedKeptUs = 3600 * 1000000

-- Ends a node: a line in `ended`, of fields role, id, instance, join, left, time in ms, record.
local function finish(member, left)
  local role, id = string.match(member, '^(%a+):(.*)$')
  local instance = redis.call('HGET', base .. 'instances', member) or ''
  local join = redis.call('HGET', base .. 'joins', member) or '0'
  local record = redis.call('HGET', base .. 'nodes', member) or ''
  local leaseEnd = tonumber(redis.call('ZSCORE', base .. 'leases', member) or nowMs)
  redis.call('ZREM', base .. 'leases', member)
  for _, name in ipairs({ 'instances', 'joins', 'nodes', 'connections' }) do
    redis.call('HDEL', base .. name, member)
  end
  if role == 'ds' then
    redis.call('SREM', base .. 'draining', id)
    for _, name in ipairs({ 'steady', 'applied', 'restored' }) do
      redis.call('HDEL', base .. name, id)
    end
  else
    redis.call('SREM', base .. 'draining', member)
    local endedAt = digits(math.min(leaseEnd, nowMs))
    local settles = table.concat({ '', '', instance, left, digits(nowMs), endedAt }, '\0')
    redis.call('HSET', base .. 'unsettled', id .. '\0' .. join, settles)
  end
  local number = math.max(nowUs, tonumber(redis.call('GET', base .. 'endedLast') or '0') + 1)
  local line = table.concat({ role, id, instance, join, left, digits(nowMs), record }, '\0')
  redis.call('SET', base .. 'endedLast', digits(number))
  redis.call('ZREMRANGEBYSCORE', base .. 'ended', '-inf', digits(nowUs - endedKeptUs))
  redis.call('ZADD', base .. 'ended', digits(number), line)
  redis.call('PUBLISH', base .. 'ended', id)
end
