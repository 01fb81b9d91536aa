-- No client is to be sent to this ds.
-- ARGV: 1 ds
-- Answer: 1
redis.call('SADD', base .. 'draining', ARGV[1])
return 1
