-- Takes interest of nodes that have ended; that of their later joins stays.
-- ARGV: 1-3 as every member, 4 role or '' (all nodes without a lease), 5 id, 6 queues at most
-- Answer: 'ok', number before, number, text, 1 where there is more
local no = refusal()
if no then
  return { no }
end
local left = tonumber(ARGV[6])
for _, pair in ipairs(redis.call('SMEMBERS', base .. 'pairs')) do
  local cs, csJoin, ds, dsJoin = unpack(fields(pair))
  local ended = not lives('cs:' .. cs, csJoin) or not lives('ds:' .. ds, dsJoin)
  local meant = ARGV[4] == '' or (ARGV[4] == 'cs' and cs == ARGV[5])
    or (ARGV[4] == 'ds' and ds == ARGV[5])
  if ended and meant and left > 0 then
    local now = table.concat({ cs, joinOf('cs:' .. cs), ds, joinOf('ds:' .. ds) }, '\0')
    local queues = redis.call('SPOP', base .. 'i:' .. pair, left)
    for _, queue in ipairs(queues) do
      hold(queue, -1)
      if redis.call('SISMEMBER', base .. 'i:' .. now, queue) == 0 then
        change('n', queue, cs, ds)
      end
    end
    left = left - #queues
    if left > 0 then
      redis.call('SREM', base .. 'pairs', pair)
    end
  end
end
local before, number, text = append()
return { 'ok', before, number, text, left <= 0 and 1 or 0 }
