-- Names of their own in the store, of filters with wildcards. A message names every queue that its
-- topic matches, and only so many bytes of names have room in it. No topic matches two filters that
-- have their wildcards in the same levels, so the longest name of each such kind counts once.
-- ownPlaces: hash: kind -> count NUL bytes; '' -> bytes of all kinds
-- Room for all names (`namesBytesMax` of stored-properties.ts), and how many names filters with
-- wildcards share.
local namesBytesMax = 2048
local sharedCount = 8
-- The comma between two names, and the offset that the broker adds.
local besideNameBytes = 15
-- The queue of the topic itself.
local exactBytes = 255 + besideNameBytes

-- Levels of a filter's wildcards; nil: it has none.
local function kindOf(filter)
  local level, wildcards = 0, {}
  for text in string.gmatch(filter .. '/', '([^/]*)/') do
    if text == '+' or text == '#' then
      wildcards[#wildcards + 1] = level .. text
    end
    level = level + 1
  end
  return wildcards[1] and table.concat(wildcards, ',')
end

local function isShared(place)
  return string.find(place, '^%%LMQ%%##[^%%#]+#%d+$') ~= nil
end

local function ownOf(kind)
  local entry = redis.call('HGET', base .. 'ownPlaces', kind)
  if not entry then
    return 0, 0
  end
  local count, bytes = unpack(fields(entry))
  return tonumber(count), tonumber(bytes)
end

-- A queue is opened or closed.
local function countOwn(filter, place, delta)
  local kind = kindOf(filter)
  if not kind or isShared(place) then
    return
  end
  local count, bytes = ownOf(kind)
  count = count + delta
  if count > 0 then
    local longest = math.max(bytes, #place + besideNameBytes)
    redis.call('HSET', base .. 'ownPlaces', kind, count .. '\0' .. longest)
    redis.call('HINCRBY', base .. 'ownPlaces', '', longest - bytes)
  else
    redis.call('HDEL', base .. 'ownPlaces', kind)
    redis.call('HINCRBY', base .. 'ownPlaces', '', -bytes)
  end
end

-- The place of a new queue: 'own', or 'own U+0001 shared' where it shares one if there is no room.
local function placeFor(filter, wanted)
  local own, shared = string.match(wanted, '^(.-)\1(.*)$')
  local kind = own and kindOf(filter)
  if not kind then
    return own or wanted
  end
  local _, bytes = ownOf(kind)
  local all = tonumber(redis.call('HGET', base .. 'ownPlaces', '') or '0')
  local more = math.max(0, #own + besideNameBytes - bytes)
  local max = namesBytesMax - exactBytes - sharedCount * (#shared + besideNameBytes)
  return more > 0 and all + more > max and shared or own
end
