-- Clients that are no longer at a node.
-- KEYS  sessions of a node, one for each node
-- ARGV  (index of the key, client, score that it was noted with) …
-- Out   1. An entry that was noted again stays.
for at = 1, #ARGV, 3 do
  local key, client = KEYS[tonumber(ARGV[at])], ARGV[at + 1]
  local score = redis.call('ZSCORE', key, client)
  if score and tonumber(score) == tonumber(ARGV[at + 2]) then redis.call('ZREM', key, client) end
end
return 1
