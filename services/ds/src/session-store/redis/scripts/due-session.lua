-- The thing of a client that is really due.
-- KEYS  1 session  2 wills of the client
-- ARGV  1 when what was given is looked at again, ms
-- Out   'expired', record    it is there until remove.lua
--       'wills', next look   some are due and nobody is sending them (take-wills.lua)
--       'none', next look
--       'connected'   nothing, but a release may be under way
-- Next look in ms, '' none. A taken will stays, with its key, until it is sent.
local session, wills = KEYS[1], KEYS[2]
local head = redis.call('HMGET', session, 'E', 'C', 'T')
local expires = tonumber(head[3] or '0')
local absent = head[1] and head[2] ~= '1'

if absent and expires ~= 0 and expires <= now then
  return { 'expired', redis.call('HGETALL', session) }
end

local nextLook
local function lookAt(ms)
  if not nextLook or ms < nextLook then nextLook = ms end
end
if absent and expires ~= 0 then lookAt(expires) end
local isDue = false
for _, field in ipairs(redis.call('HKEYS', wills)) do
  if field:sub(1, 1) == 'd' then
    local due = tonumber(redis.call('HGET', wills, field))
    local taken = redis.call('HGET', wills, 't' .. field:sub(2))
    local untilMs = tonumber(taken and taken:match(' (%d+)$') or '0')
    if due == 0 then
      -- The client of the will is connected.
    elseif due > now then
      lookAt(due)
    elseif untilMs > now then
      lookAt(untilMs)
    else
      isDue = true
      lookAt(now + tonumber(ARGV[1]))
    end
  end
end
local nextText = nextLook and textOf(nextLook) or ''
if isDue then return { 'wills', nextText } end
if nextText == '' and head[2] == '1' then return { 'connected' } end
return { 'none', nextText }
