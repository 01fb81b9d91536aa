-- The connection of a session ended.
-- KEYS  1 session  2 wills of the client
-- ARGV  1 epoch  2 ds  3 version before, or '' for any lesser  4 version  5 publish the will (0, 1)
--       6 expiry, s  7 grace, ms  8 noted at, ms, or '' where nothing falls due  9 how long that holds
-- Out   'late' | 'broken' (not the next of its writes) | 'fenced' | 'gone' (by this epoch's
-- release)
--       'released', waiting, expires at, ms
local session, wills = KEYS[1], KEYS[2]
local head = redis.call('HMGET', session, 'E', 'H', 'C', 'V', 'W', 'Q')
if not head[1] then return { 'gone' } end
if head[1] ~= ARGV[1] then return { 'fenced' } end
if head[3] ~= '1' then return { 'gone' } end
if head[2] ~= ARGV[2] then return { 'fenced' } end
if ARGV[3] ~= '' then
  if head[4] ~= ARGV[3] then return { 'broken' } end
elseif tonumber(head[4]) >= tonumber(ARGV[4]) then
  return { 'fenced' }
end
if ARGV[8] ~= '' and now > tonumber(ARGV[8]) + tonumber(ARGV[9]) then return { 'late' } end

local expiryS = tonumber(ARGV[6])
local will = head[5]
if will and redis.call('HEXISTS', wills, 'd' .. will) == 1 then
  if ARGV[5] == '1' then
    startDelay(wills, will, now, expiryS, tonumber(ARGV[7]))
  else
    removeWill(wills, will)
  end
end
if expiryS == 0 then
  redis.call('DEL', session)
  return { 'released', head[6] or '', '0' }
end
local expires = expiryOf(now, expiryS)
redis.call('HSET', session, 'C', '0', 'X', ARGV[6], 'T', expires, 'V', ARGV[4])
redis.call('HDEL', session, 'Q')
return { 'released', head[6] or '', expires }
