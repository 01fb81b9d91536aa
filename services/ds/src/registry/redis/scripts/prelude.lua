-- Begins every script of the registry.
-- KEYS[1]: what all keys of the registry begin with. Names of channels begin with it as well.
-- Scripts of a member have ARGV[1] life of the registry, ARGV[2] ds, ARGV[3] its join; their
-- answer begins with 'ok', with 'lost' (another life: what this ds knows may be gone) or with
-- 'ended' (this ds was judged).
--
-- Keys
--   life         identifier; another one after changes were lost
--   leases       sorted set: '<role>:<id>' by the end of the lease, ms
--   instances, joins, nodes, connections   hashes by '<role>:<id>'; joins: a number for each join
--   draining     set of ds, and of cs as 'cs:<id>'
--   steady       hash: ds -> since when it has renewed without a break, ms
--   ended        sorted set: ends of nodes by number; endedLast: the highest number
--   unsettled    hash: ended cs -> who settles it
--   log          stream of route changes, '<number>-0': p (the number before), c (changes)
--   last         number of the last entry
--   ids          hash: name -> queue; queues: queue -> name NUL place; queue: the last identifier
--   held         hash: queue -> count of holders and of interest; unheld: sorted set by time, ms
--   holders      set of queue NUL holder
--   pairs        set of cs NUL join NUL ds NUL join; i:<pair>: set of queues
--   ownPlaces    hash: see own-places.lua
--   closing      hash: name -> queue NUL place NUL ds NUL join NUL state
--   swept        sorted set: name NUL place by the time, ms, at which the queue was deleted
--   applied      hash: ds -> number up to which it has applied the log; absent: it serves nobody
--   restored     hash: ds -> the life for which it has told what it holds
--   owners, texts   hashes by thing
--   r:<kind>     hash of records
--   claimed      bits of MQTT topics that were published; detours: hash by MQTT topic
local base = KEYS[1]
local time = redis.call('TIME')
local nowUs = time[1] * 1000000 + time[2]
local nowMs = math.floor(nowUs / 1000)

local function digits(number)
  return string.format('%.0f', number)
end

local function fields(text)
  local list = {}
  for field in string.gmatch(text .. '\0', '(.-)%z') do
    list[#list + 1] = field
  end
  return list
end

-- The process of that join has a lease.
local function lives(member, join)
  return redis.call('HGET', base .. 'joins', member) == join
end

local function refusal()
  if redis.call('GET', base .. 'life') ~= ARGV[1] then
    return 'lost'
  end
  if not lives('ds:' .. ARGV[2], ARGV[3]) then
    return 'ended'
  end
  return false
end

-- The ds nodes whose leases have not ended: id, applied or '', restored life or ''.
local function alive()
  local list = {}
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', base .. 'leases', '(' .. nowMs, '+inf')) do
    if string.sub(member, 1, 3) == 'ds:' then
      local id = string.sub(member, 4)
      list[#list + 1] = id
      list[#list + 1] = redis.call('HGET', base .. 'applied', id) or ''
      list[#list + 1] = redis.call('HGET', base .. 'restored', id) or ''
    end
  end
  return list
end
