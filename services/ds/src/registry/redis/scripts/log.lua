-- For scripts that change routes: gathers changes of four fields, then adds them as one entry.
-- Kinds: o queue name place (open), c queue (close), i/n queue cs ds (interest or none),
-- l life (another life of the registry).
local keptUs = 60 * 1000000
local changes = {}

local function change(kind, a, b, c)
  local count = #changes
  changes[count + 1] = kind
  changes[count + 2] = a
  changes[count + 3] = b
  changes[count + 4] = c
end

-- Answers the number before, the entry's and its text; without changes the last number twice.
local function append()
  local last = redis.call('GET', base .. 'last') or '0'
  if #changes == 0 then
    return last, last, ''
  end
  local number = digits(math.max(nowUs, tonumber(last) + 1))
  local text = table.concat(changes, '\0')
  local oldest = digits(nowUs - keptUs)
  redis.call('XADD', base .. 'log', 'MINID', '~', oldest, number .. '-0', 'p', last, 'c', text)
  redis.call('SET', base .. 'last', number)
  redis.call('PUBLISH', base .. 'log', last .. '\0' .. number .. '\0' .. text)
  return last, number, text
end

-- Count of holders and interest of a queue.
local function hold(queue, delta)
  local count = redis.call('HINCRBY', base .. 'held', queue, delta)
  if count <= 0 then
    redis.call('HDEL', base .. 'held', queue)
    redis.call('ZADD', base .. 'unheld', nowMs, queue)
  elseif count == delta then
    redis.call('ZREM', base .. 'unheld', queue)
  end
end

local function joinOf(member)
  return redis.call('HGET', base .. 'joins', member) or '0'
end
