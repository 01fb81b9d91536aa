-- A ds takes over a connected session from the ds that had it.
-- KEYS  1 session  2 wills of the client  3 end of a node (end-connection.lua)
-- ARGV  1 ds  2 node  3 handle  4 epoch  5 expiry, s  6 noted at, ms  7 how long that holds, ms
--       8 due time noted (0, 1)  9 this ds has it already (0, 1)  10 user, where none is stored
--       11… inbound identifiers
-- Out   'late' | 'due first'   as claim.lua
--       'claimed' | 'ended'
--       'taken up', version, record, record of the one that ended by this
-- One that outlives its connection must be stored, connected, with that epoch. One that does not
-- may be unknown: it is made here, unless its end was that of its node.
local session, wills = KEYS[1], KEYS[2]
if now > tonumber(ARGV[6]) + tonumber(ARGV[7]) then return { 'late' } end
local head = redis.call('HMGET', session, 'E', 'H', 'C', 'X', 'W', 'V')
local known, epoch = head[1], tonumber(ARGV[4])
if known and tonumber(known) > epoch then return { 'claimed' } end
local same = known == ARGV[4] and head[3] == '1'
if same and ARGV[9] == '1' and head[2] == ARGV[1] then return { 'ended' } end
local clean = ARGV[5] == '0'
if not clean and (not same or head[4] == '0') then return { 'ended' } end
if clean and same and head[4] ~= '0' then return { 'ended' } end
if clean and not same and known == ARGV[4] then return { 'ended' } end
if clean and not known then
  local bound, cs = (redis.call('GET', KEYS[3]) or ''):match('^(%S+) (.*)$')
  if bound and cs == ARGV[2]:match('^[^@]+') and epoch <= tonumber(bound) then return { 'ended' } end
end

local endedRecord = {}
if known and not same then
  if isPending(wills, head[5]) then
    if ARGV[8] == '0' then return { 'due first' } end
    setDue(wills, head[5], now)
  end
  endedRecord = redis.call('HGETALL', session)
  redis.call('DEL', session)
end
local version = math.max(time[1] * 1000000 + time[2], tonumber(head[6] or '0') + 1)
local versionText = textOf(version)
if not same then redis.call('HSET', session, 'E', ARGV[4], 'M', ARGV[4], 'X', '0', 'C', '1') end
redis.call('HSET', session, 'H', ARGV[1], 'N', ARGV[2], 'I', ARGV[3])
redis.call('HSET', session, 'V', versionText, 'S', ARGV[6])
redis.call('HSETNX', session, 'U', ARGV[10])
for at = 11, #ARGV do redis.call('HSET', session, 'i' .. ARGV[at], '') end
return { 'taken up', versionText, redis.call('HGETALL', session), endedRecord }
