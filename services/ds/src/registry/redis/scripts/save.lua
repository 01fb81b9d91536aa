-- Texts of things, of those that this ds owns with that epoch. An empty text is removed.
-- ARGV: 1-3 as every member, then thing, epoch, text, ...
-- Answer: 'ok', a digit for each (0: refused)
local no = refusal()
if no then
  return { no }
end
local owned = table.concat({ ARGV[2], ARGV[3], '' }, '\0')
local results = {}
for at = 4, #ARGV, 3 do
  local mine = redis.call('HGET', base .. 'owners', ARGV[at]) == owned .. ARGV[at + 1]
  if mine and ARGV[at + 2] == '' then
    redis.call('HDEL', base .. 'texts', ARGV[at])
  elseif mine then
    redis.call('HSET', base .. 'texts', ARGV[at], ARGV[at + 2])
  end
  results[#results + 1] = mine and '1' or '0'
end
return { 'ok', table.concat(results) }
