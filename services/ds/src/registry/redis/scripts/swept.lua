-- A queue was deleted from the store: its name may be opened anew. It is kept for four days as one
-- that a broker may bring back.
-- ARGV: 1-3 as every member, 4 name, 5 queue
-- Answer: 'ok'
local no = refusal()
if no then
  return { no }
end
local entry = redis.call('HGET', base .. 'closing', ARGV[4])
if entry and fields(entry)[1] == ARGV[5] then
  redis.call('HDEL', base .. 'closing', ARGV[4])
  redis.call('ZADD', base .. 'swept', nowMs, ARGV[4] .. '\0' .. fields(entry)[2])
  redis.call('ZREMRANGEBYSCORE', base .. 'swept', '-inf', nowMs - 345600000)
  redis.call('ZREMRANGEBYRANK', base .. 'swept', 0, -10001)
end
return { 'ok' }
