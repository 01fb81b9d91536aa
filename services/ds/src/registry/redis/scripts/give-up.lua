-- Things that this ds owns no longer. Their epochs stay, so that they grow.
-- ARGV: 1-3 as every member, then things
-- Answer: 'ok'
local no = refusal()
if no then
  return { no }
end
for at = 4, #ARGV do
  local entry = redis.call('HGET', base .. 'owners', ARGV[at])
  local owned = entry and fields(entry)
  if owned and owned[1] == ARGV[2] and owned[2] == ARGV[3] then
    redis.call('HSET', base .. 'owners', ARGV[at], '\0\0' .. owned[3])
  end
end
return { 'ok' }
