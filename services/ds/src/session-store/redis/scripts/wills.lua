-- The wills of a client are one hash. Fields by the number of a will, which is the epoch of the
-- claim that brought it: r record, d due at, ms (0: its client is connected), y delay, s, t taken
-- by whom and until when, k key, a first taken at. g: numbers that wait for the grace of a
-- connection that was lost. Behind `now.lua`.

local function removeWill(wills, number)
  for _, field in ipairs({ 'r', 'd', 'y', 't', 'k', 'a' }) do
    redis.call('HDEL', wills, field .. number)
  end
end

local function setDue(wills, number, atMs)
  redis.call('HSET', wills, 'd' .. number, textOf(atMs))
end

-- Whether there is a will of that number (false: no number) and it is not due yet.
local function isPending(wills, number)
  local due = number and tonumber(redis.call('HGET', wills, 'd' .. number) or '-1') or -1
  return due == 0 or due > now
end

-- The connection of a will has ended: the will waits for its delay or the grace.
local function startDelay(wills, number, endedMs, expiryS, graceMs)
  local delayS = math.min(tonumber(redis.call('HGET', wills, 'y' .. number)), expiryS)
  setDue(wills, number, endedMs + math.max(delayS * 1000, graceMs))
  if graceMs > 0 then
    local graced = redis.call('HGET', wills, 'g')
    redis.call('HSET', wills, 'g', graced and graced .. ',' .. number or number)
  end
end
