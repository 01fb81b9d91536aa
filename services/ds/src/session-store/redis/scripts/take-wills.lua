-- Takes the wills of a client that are due, whoever looks.
-- KEYS  1 wills of the client
-- ARGV  1 who takes them  2 unique beginning of the keys of those that have none yet
--       3 for how long they are the taker's, ms  4 numbers that the taker has already: ',1,2,'
-- Out   1 another has taken one and its time runs | 0
--       then number, record, key, first taken at, ms, 1 taken before | 0 …
-- A taken will stays, with its key, until it is sent. The taker prolongs its time (will.lua); one
-- whose time is over, or whose taker does not know of it, is taken again.
local wills = KEYS[1]
local untilMs = now + tonumber(ARGV[3])
local busy, found = 0, {}
for _, field in ipairs(redis.call('HKEYS', wills)) do
  local number = field:sub(2)
  local due = field:sub(1, 1) == 'd' and tonumber(redis.call('HGET', wills, field)) or 0
  if due ~= 0 and due <= now then
    local holder, heldMs = (redis.call('HGET', wills, 't' .. number) or ''):match('^(%S+) (%d+)$')
    if holder == ARGV[1] and ARGV[4]:find(',' .. number .. ',', 1, true) then
      -- The will is on its way.
    elseif holder and holder ~= ARGV[1] and tonumber(heldMs) > now then
      busy = 1
    else
      found[#found + 1] = number
    end
  end
end
table.sort(found, function(a, b) return tonumber(a) < tonumber(b) end)
local reply = { busy }
for _, number in ipairs(found) do
  local key = redis.call('HGET', wills, 'k' .. number)
  redis.call('HSET', wills, 't' .. number, string.format('%s %.0f', ARGV[1], untilMs))
  if not key then
    redis.call('HSET', wills, 'k' .. number, ARGV[2] .. number, 'a' .. number, textOf(now))
  end
  local will = redis.call('HMGET', wills, 'r' .. number, 'k' .. number, 'a' .. number)
  for _, value in ipairs({ number, will[1], will[2], will[3], key and 1 or 0 }) do
    reply[#reply + 1] = value
  end
end
return reply
