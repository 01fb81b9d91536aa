-- A connection takes the session of its client.
-- KEYS  1 session  2 wills of the client  3 last epoch of the slot  4 end of a node
-- (end-connection.lua) ARGV  1 ds  2 node  3 its cs  4 handle  5 clean start (0, 1)  6 expiry, s  7
-- noted at, ms (note.lua)
--       8 how long that holds, ms  9 due time noted (0, 1)  10 will: record, or ''  11 its delay, s
--       12 user (fields.ts)  13 a session of another user: refuse 1, end it 0
--       14 stored sessions at their limit: 'MAX_SESSIONS', 'MAX_SESSIONS_PER_USER', '' none is reached
-- Out   'late'                      the note may be gone: note again
--       'due first'                 a will becomes due by this: note the due time, then again
--       'refused', node, 1 | 0      the session is another user's, connected there, or absent: '';
--                                   1 it ends with that connection
--       'full', node                the limit on stored sessions does not let a new one be made
--       'held', epoch, node, handle the connection is at another ds, which tells this one its end
--       'claimed', epoch, version, 1 goes on | 0 new, record, record of the one that ended, waiting,
--                                   1 a will is due or being sent | 0
-- A will that waits is cancelled if the session goes on; any other becomes due.
local session, wills = KEYS[1], KEYS[2]
local noted = tonumber(ARGV[7])
if now > noted + tonumber(ARGV[8]) then return { 'late' } end
local ended = redis.call('GET', KEYS[4])
if ended then
  local bound, cs = ended:match('^(%S+) (.*)$')
  if cs == ARGV[3] and noted <= tonumber(bound) then return { 'late' } end
end

local head = redis.call('HMGET', session, 'E', 'H', 'N', 'I', 'C', 'X', 'T', 'W', 'Q', 'V', 'U')
local known, connected = head[1], head[5] == '1'
local function hasEnded()
  if connected then return head[6] == '0' end
  local at = tonumber(head[7] or '0')
  return at ~= 0 and at <= now
end
-- One without a user is that of the first who comes.
local isOther = known and head[11] and head[11] ~= ARGV[12]
local isElsewhere = known and connected and head[2] ~= ARGV[1]
-- An account that got the name of one that is gone, behind U+0000.
local isKept = isOther and ARGV[13] == '1' and head[11]:match('^[^%z]*') ~= ARGV[12]:match('^[^%z]*')
if isKept and (isElsewhere or not hasEnded()) then
  return { 'refused', connected and head[3] or '', connected and head[6] == '0' and 1 or 0 }
end
local isOwn = known and not isOther
-- One that takes the place of a stored session is no more in all, and no more of the same user.
local replaces = known and head[6] ~= '0' and (isOwn or ARGV[14] == 'MAX_SESSIONS')
if ARGV[14] ~= '' and ARGV[6] ~= '0' and not replaces then
  return { 'full', connected and head[3] or '' }
end
if isElsewhere then
  local waiting = head[9] or ''
  if not (',' .. waiting .. ','):find(',' .. ARGV[1] .. ',', 1, true) then
    redis.call('HSET', session, 'Q', waiting == '' and ARGV[1] or waiting .. ',' .. ARGV[1])
  end
  return { 'held', head[1], head[3], head[4] }
end
local continues = isOwn and ARGV[5] == '0' and not hasEnded()

local graced = {}
if not isOther then
  for number in (redis.call('HGET', wills, 'g') or ''):gmatch('[^,]+') do
    -- One with a key was taken: it is on its way.
    if redis.call('HEXISTS', wills, 'k' .. number) == 0 then graced[number] = true end
  end
end

local due = known and head[8] and not graced[head[8]] and redis.call('HGET', wills, 'd' .. head[8])
local judged
if due then
  due = tonumber(due)
  local waits = due > now
  if due == 0 then waits = tonumber(redis.call('HGET', wills, 'y' .. head[8]) or '0') > 0 end
  if continues and waits then
    judged = 'cancelled'
  elseif due == 0 or waits then
    judged = 'due'
    if ARGV[9] == '0' then return { 'due first' } end
  end
end

for number in pairs(graced) do removeWill(wills, number) end
if isOther or next(graced) then redis.call('HDEL', wills, 'g') end
if judged == 'cancelled' then removeWill(wills, head[8]) end
if judged == 'due' then setDue(wills, head[8], now) end

local epoch = math.max(
  now,
  tonumber(redis.call('GET', KEYS[3]) or '0') + 1,
  tonumber(known or '0') + 1
)
local epochText = textOf(epoch)
redis.call('SET', KEYS[3], epochText)
local version = math.max(time[1] * 1000000 + time[2], tonumber(head[10] or '0') + 1)
local versionText = textOf(version)

local endedRecord = {}
if known and not continues then
  endedRecord = redis.call('HGETALL', session)
  redis.call('DEL', session)
end
if not continues then redis.call('HSET', session, 'M', epochText) end
redis.call('HSET', session, 'E', epochText, 'H', ARGV[1], 'N', ARGV[2], 'I', ARGV[4], 'C', '1')
redis.call('HSET', session, 'X', ARGV[6], 'V', versionText, 'S', ARGV[7], 'U', ARGV[12])
redis.call('HDEL', session, 'T', 'Q', 'W')
if ARGV[10] ~= '' then
  redis.call('HSET', session, 'W', epochText)
  redis.call('HSET', wills, 'r' .. epochText, ARGV[10], 'd' .. epochText, '0')
  redis.call('HSET', wills, 'y' .. epochText, ARGV[11])
end
local willsDue = 0
for _, field in ipairs(redis.call('HKEYS', wills)) do
  if field:sub(1, 1) == 'd' then
    local at = tonumber(redis.call('HGET', wills, field))
    if at ~= 0 and at <= now then willsDue = 1 end
  end
end
local record = continues and redis.call('HGETALL', session) or {}
return {
  'claimed', epochText, versionText, continues and 1 or 0, record, endedRecord, head[9] or '',
  willsDue,
}
