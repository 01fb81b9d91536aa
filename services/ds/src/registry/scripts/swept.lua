-- A queue was deleted from the store: its name may be opened anew.
-- ARGV: 1-3 as every member, 4 name, 5 queue
-- Answer: 'ok'
local no = refusal()
if no then
  return { no }
end
local entry = redis.call('HGET', base .. 'closing', ARGV[4])
if entry and fields(entry)[1] == ARGV[5] then
  redis.call('HDEL', base .. 'closing', ARGV[4])
end
return { 'ok' }
