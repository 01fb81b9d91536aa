-- All nodes for operators.
-- Answer: time in ms, members (member, end of lease, record, connections, 1 where it drains, ...),
--   lines of ended nodes
local members = {}
local leases = redis.call('ZRANGE', base .. 'leases', 0, -1, 'WITHSCORES')
for at = 1, #leases, 2 do
  local member = leases[at]
  members[#members + 1] = member
  members[#members + 1] = leases[at + 1]
  members[#members + 1] = redis.call('HGET', base .. 'nodes', member) or '{}'
  members[#members + 1] = redis.call('HGET', base .. 'connections', member) or '0'
  local drained = string.sub(member, 1, 3) == 'ds:' and string.sub(member, 4) or member
  local drains = redis.call('SISMEMBER', base .. 'draining', drained) == 1
  members[#members + 1] = drains and '1' or '0'
end
local hourAgo = digits(nowUs - 3600 * 1000000)
local ended = redis.call('ZRANGEBYSCORE', base .. 'ended', hourAgo, '+inf')
return { digits(nowMs), members, ended }
