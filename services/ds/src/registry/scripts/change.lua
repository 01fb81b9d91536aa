-- Openings, releases and ends of interest, in this order, as one entry of the log.
-- ARGV: 1-3 as every member, then for each six fields:
--   'o' queue name place holder cs: opens; queue '' save where this ds tells again what it holds
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

local function pairWith(cs)
  local pair = pairOf[cs]
  if not pair then
    pair = table.concat({ cs, joinOf('cs:' .. cs), ds, ARGV[3] }, '\0')
    redis.call('SADD', base .. 'pairs', pair)
    pairOf[cs] = pair
  end
  return base .. 'i:' .. pair
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
  local queue = redis.call('HGET', base .. 'ids', name)
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
  redis.call('HSET', base .. 'ids', name, queue)
  redis.call('HSET', base .. 'queues', queue, name .. '\0' .. place)
  change('o', queue, name, place)
  return queue, true
end

for at = 4, #ARGV, 6 do
  local op, queue, holder, cs = ARGV[at], ARGV[at + 1], ARGV[at + 4], ARGV[at + 5]
  if op == 'o' then
    local isNew
    queue, isNew = open(queue, ARGV[at + 2], ARGV[at + 3])
    queues[#queues + 1] = queue
    if queue ~= '0' then
      local added = 0
      if holder ~= '' then
        added = redis.call('SADD', base .. 'holders', queue .. '\0' .. holder)
      end
      if cs ~= '' and redis.call('SADD', pairWith(cs), queue) == 1 then
        added = added + 1
        change('i', queue, cs, ds)
      end
      if added > 0 then
        hold(queue, added)
      elseif isNew then
        redis.call('ZADD', base .. 'unheld', nowMs, queue)
      end
    end
  elseif op == 'r' then
    if redis.call('SREM', base .. 'holders', queue .. '\0' .. holder) == 1 then
      hold(queue, -1)
    end
  else
    if queue == '' then
      queue = redis.call('HGET', base .. 'ids', ARGV[at + 2]) or ''
    end
    if redis.call('SREM', pairWith(cs), queue) == 1 then
      change('n', queue, cs, ds)
      hold(queue, -1)
    end
  end
end
if given then
  redis.call('SET', base .. 'queue', digits(given))
end
local before, number, text = append()
return { 'ok', before, number, text, alive(), queues }
