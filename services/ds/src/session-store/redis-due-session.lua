-- What of a client is really due: one thing.
-- KEYS  1 session  2 wills of the client
-- ARGV  1 who takes it  2 key for a will that has none yet  3 when what was taken is looked at again, ms
-- Out   'expired', record    it is there until redis-remove
--       'will', next look, number, record, key, first taken at, ms, 1 taken by another before | 0
--       'none', next look
--       'connected'   nothing, but a release may be under way
-- Next look in ms, '' none. A taken will stays, with its key, until it is sent.
local session, wills = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local nowText = string.format('%.0f', now)
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
local taken
for _, field in ipairs(redis.call('HKEYS', wills)) do
  if field:sub(1, 1) == 'd' then
    local number = field:sub(2)
    local due = tonumber(redis.call('HGET', wills, field))
    if due == 0 then
      -- Its client is connected.
    elseif due > now then
      lookAt(due)
    elseif redis.call('HGET', wills, 't' .. number) == ARGV[1] then
      lookAt(now + tonumber(ARGV[3]))
    elseif taken then
      lookAt(now)
    else
      taken = number
      lookAt(now + tonumber(ARGV[3]))
    end
  end
end
local nextText = nextLook and string.format('%.0f', nextLook) or ''
if taken then
  local key = redis.call('HGET', wills, 'k' .. taken)
  redis.call('HSET', wills, 't' .. taken, ARGV[1])
  if not key then
    redis.call('HSET', wills, 'k' .. taken, ARGV[2], 'a' .. taken, nowText)
  end
  local will = redis.call('HMGET', wills, 'r' .. taken, 'k' .. taken, 'a' .. taken)
  return { 'will', nextText, taken, will[1], will[2], will[3], key and 1 or 0 }
end
if nextText == '' and head[2] == '1' then return { 'connected' } end
return { 'none', nextText }
