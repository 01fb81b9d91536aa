-- Begins scripts that need the time of Redis: `time` (s, µs) and `now` (ms).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A whole number as text; `tostring` would round it.
local function textOf(number)
  return string.format('%.0f', number)
end

-- When a session that is absent since then expires, ms; '0': never.
local function expiryOf(endedMs, expiryS)
  return expiryS == 4294967295 and '0' or textOf(endedMs + expiryS * 1000)
end
