-- No client is to be sent to this ds, or clients are again.
-- ARGV: 1 ds, 2 1 where it drains
-- Answer: 1
if ARGV[2] == '1' then
  redis.call('SADD', base .. 'draining', ARGV[1])
else
  redis.call('SREM', base .. 'draining', ARGV[1])
end
return 1
