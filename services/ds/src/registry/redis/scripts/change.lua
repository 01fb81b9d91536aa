-- Openings, releases and ends of interest, in this order, as one entry of the log.
-- ARGV: 1-3 as every member, then for each six fields:
--   'o' queue name place holder cs: opens; queue '' save where this ds tells again what it holds;
--     place: see own-places.lua
--   'r' queue '' '' holder '': releases
--   'u' queue name '' '' cs: no more interest, in the queue or, where that is '', in that name's
-- Answer: 'ok', number before, number, text of the entry, alive, for each 'o' its queue
--   ('0': it is being deleted, ask again)
local no = refusal()
if no then
  return { no }
end
local ds = ARGV[2]
local closing = redis.call('HLEN', base .. 'closing') > 0
local given = false
local pairOf = {}
local queues = {}
local idOf = {}

-- Records of queues that are new in this call, written all at once.
local fresh, ids, stored, holders, counts, pairSets = {}, {}, {}, {}, {}, {}

local function writeAll(command, key, list)
  for first = 1, #list, 4000 do
    redis.call(command, base .. key, unpack(list, first, math.min(first + 3999, #list)))
  end
end

local function flush()
  if not next(fresh) then
    return
  end
  writeAll('HSET', 'ids', ids)
  writeAll('HSET', 'queues', stored)
  writeAll('SADD', 'holders', holders)
  writeAll('HSET', 'held', counts)
  for key, list in pairs(pairSets) do
    writeAll('SADD', key, list)
  end
  fresh, ids, stored, holders, counts, pairSets = {}, {}, {}, {}, {}, {}
end

local function pairWith(cs)
  local pair = pairOf[cs]
  if not pair then
    pair = table.concat({ cs, joinOf('cs:' .. cs), ds, ARGV[3] }, '\0')
    redis.call('SADD', base .. 'pairs', pair)
    pairOf[cs] = pair
  end
  return 'i:' .. pair
end

-- The queue of that name where one is being closed; '0' where it cannot be taken back.
local function revived(name)
  local entry = closing and redis.call('HGET', base .. 'closing', name)
  if not entry then
    return false
  end
  local closed = fields(entry)
  if closed[5] ~= 'closing' then
    return '0'
  end
  redis.call('HDEL', base .. 'closing', name)
  return closed[1], closed[2]
end

local function open(known, name, place)
  local queue = idOf[name]
  if queue then
    return queue
  end
  local again, itsPlace = revived(name)
  if again == '0' then
    return again
  end
  if again then
    queue, place = again, itsPlace
  elseif known ~= '' and redis.call('HEXISTS', base .. 'queues', known) == 0 then
    queue = known
    given = math.max(given or tonumber(redis.call('GET', base .. 'queue')), tonumber(known))
  else
    given = (given or tonumber(redis.call('GET', base .. 'queue'))) + 1
    queue = digits(given)
  end
  place = placeFor(name, place)
  countOwn(name, place, 1)
  idOf[name] = queue
  fresh[queue] = true
  ids[#ids + 1] = name
  ids[#ids + 1] = queue
  stored[#stored + 1] = queue
  stored[#stored + 1] = name .. '\0' .. place
  change('o', queue, name, place)
  return queue, true
end

local function holdFresh(queue, holder, cs)
  local count = 0
  if holder ~= '' then
    holders[#holders + 1] = queue .. '\0' .. holder
    count = 1
  end
  if cs ~= '' then
    local key = pairWith(cs)
    local list = pairSets[key] or {}
    pairSets[key] = list
    list[#list + 1] = queue
    count = count + 1
    change('i', queue, cs, ds)
  end
  if count > 0 then
    counts[#counts + 1] = queue
    counts[#counts + 1] = count
  else
    redis.call('ZADD', base .. 'unheld', nowMs, queue)
  end
end

local function holdKnown(queue, holder, cs)
  local added = 0
  if holder ~= '' then
    added = redis.call('SADD', base .. 'holders', queue .. '\0' .. holder)
  end
  if cs ~= '' and redis.call('SADD', base .. pairWith(cs), queue) == 1 then
    added = added + 1
    change('i', queue, cs, ds)
  end
  if added > 0 then
    hold(queue, added)
  end
end

-- Holders and interest that queues have lost in this call, counted all at once.
local lost, losers = {}, {}

local function lose(queue)
  if not lost[queue] then
    losers[#losers + 1] = queue
  end
  lost[queue] = (lost[queue] or 0) + 1
end

local function countLost()
  local kept, emptied, since = {}, {}, {}
  for first = 1, #losers, 4000 do
    local last = math.min(first + 3999, #losers)
    local held = redis.call('HMGET', base .. 'held', unpack(losers, first, last))
    for index, count in ipairs(held) do
      local queue = losers[first + index - 1]
      local left = tonumber(count or '0') - lost[queue]
      if left > 0 then
        kept[#kept + 1] = queue
        kept[#kept + 1] = left
      else
        emptied[#emptied + 1] = queue
        since[#since + 1] = nowMs
        since[#since + 1] = queue
      end
    end
  end
  writeAll('HSET', 'held', kept)
  writeAll('HDEL', 'held', emptied)
  writeAll('ZADD', 'unheld', since)
end

-- Names are looked up a thousand at a time.
local function lookUp(first)
  local names = {}
  for at = first, math.min(first + 5999, #ARGV), 6 do
    names[#names + 1] = ARGV[at + 2]
  end
  for index, queue in ipairs(redis.call('HMGET', base .. 'ids', unpack(names))) do
    if queue then
      idOf[names[index]] = queue
    end
  end
end

for at = 4, #ARGV, 6 do
  if (at - 4) % 6000 == 0 then
    lookUp(at)
  end
  local op, queue, name = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local holder, cs = ARGV[at + 4], ARGV[at + 5]
  if op == 'o' then
    local isNew
    queue, isNew = open(queue, name, ARGV[at + 3])
    queues[#queues + 1] = queue
    if isNew then
      holdFresh(queue, holder, cs)
    elseif queue ~= '0' then
      if fresh[queue] then
        flush()
      end
      holdKnown(queue, holder, cs)
    end
  else
    flush()
    if queue == '' then
      queue = idOf[name] or ''
    end
    if op == 'r' then
      if redis.call('SREM', base .. 'holders', queue .. '\0' .. holder) == 1 then
        lose(queue)
      end
    elseif redis.call('SREM', base .. pairWith(cs), queue) == 1 then
      change('n', queue, cs, ds)
      lose(queue)
    end
  end
end
flush()
countLost()
if given then
  redis.call('SET', base .. 'queue', digits(given))
end
local before, number, text = append()
return { 'ok', before, number, text, alive(), queues }
