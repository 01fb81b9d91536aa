-- The life of the registry: the stored one, or a new one where that is absent, or the one in which
-- changes were lost.
-- ARGV: 1 the life that is known to be over, or ''; 2 a new one; 3 the highest queue identifier
--   that this ds has seen
-- Answer: life, 1 where it was begun here, 1 where nothing was stored
-- Identifiers of queues begin with the time, so that none is given twice in two lives: 256 for each
-- minute since 2025, below 2^31 until 2040.
local life = redis.call('GET', base .. 'life')
if life and life ~= ARGV[1] then
  return { life, 0, 0 }
end
local minutes = math.floor(nowMs / 60000) - 28928160
local given = tonumber(redis.call('GET', base .. 'queue') or '0')
local first = math.max(minutes * 256, given, tonumber(ARGV[3]))
redis.call('SET', base .. 'queue', digits(first))
redis.call('SET', base .. 'life', ARGV[2])
-- Whoever serves is waited for, and is behind.
for _, id in ipairs(redis.call('HKEYS', base .. 'applied')) do
  redis.call('HSET', base .. 'applied', id, '0')
end
change('l', ARGV[2], '', '')
append()
return { ARGV[2], 1, life and 0 or 1 }
