-- Queues were deleted from the store: their names may be opened anew. They are kept for four days as
-- such that a broker may bring back.
-- ARGV: 1-3 as every member, then name and queue of each
-- Answer: 'ok'
local no = refusal()
if no then
  return { no }
end
for at = 4, #ARGV, 2 do
  local entry = redis.call('HGET', base .. 'closing', ARGV[at])
  local closed = entry and fields(entry)
  if closed and closed[1] == ARGV[at + 1] then
    redis.call('HDEL', base .. 'closing', ARGV[at])
    redis.call('ZADD', base .. 'swept', nowMs, ARGV[at] .. '\0' .. closed[2])
  end
end
redis.call('ZREMRANGEBYSCORE', base .. 'swept', '-inf', nowMs - 345600000)
redis.call('ZREMRANGEBYRANK', base .. 'swept', 0, -10001)
return { 'ok' }
