-- A ds has told all that it holds, in this life of the registry. One that serves is waited for from
-- now on, and is behind.
-- ARGV: 1-3 as every member, 4 '1': it serves
-- Answer: 'ok'
local no = refusal()
if no then
  return { no }
end
redis.call('HSET', base .. 'restored', ARGV[2], ARGV[1])
if ARGV[4] == '1' then
  redis.call('HSETNX', base .. 'applied', ARGV[2], '0')
end
return { 'ok' }
