-- Messages to ds nodes, in this order.
-- ARGV: receiver, message, ...
-- Answer: 'ok'
for at = 1, #ARGV, 2 do
  redis.call('PUBLISH', base .. 'to:' .. ARGV[at], ARGV[at + 1])
end
return { 'ok' }
