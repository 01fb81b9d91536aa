-- A ds says up to which number it has applied the log.
-- ARGV: 1-3 as every member, 4 number, 5 '1': it begins to serve, which needs all of the log
-- Answer: 'ok', the last number; 'behind' where it may not begin yet
local no = refusal()
if no then
  return { no }
end
local id, number = ARGV[2], ARGV[4]
local last = redis.call('GET', base .. 'last') or '0'
if ARGV[5] == '1' then
  if number ~= last then
    return { 'behind' }
  end
  redis.call('HSET', base .. 'restored', id, ARGV[1])
elseif redis.call('HEXISTS', base .. 'applied', id) == 0 then
  return { 'ok', last }
end
redis.call('HSET', base .. 'applied', id, number)
redis.call('PUBLISH', base .. 'applied', id .. '\0' .. number)
return { 'ok', last }
