-- Before sessions change: which node they are at, when they are to be looked at.
-- KEYS  1 due times  2… sessions of a node, one for each node
-- ARGV  1 count of claims, then (index of the node's key, client) …, then (client, due in ms) …
-- Out   now, ms; then a score for each claim
-- Both are sorted sets of clients. Every note changes the score: whoever has read it before and
-- finds it changed leaves the entry alone. A node's scores grow; a due time never moves back.
local due = KEYS[1]
local reply = { textOf(now) }
local claims = tonumber(ARGV[1])
for at = 2, 2 * claims, 2 do
  local key, client = KEYS[tonumber(ARGV[at])], ARGV[at + 1]
  local before = tonumber(redis.call('ZSCORE', key, client) or '0')
  local score = textOf(math.max(now, before + 1))
  redis.call('ZADD', key, score, client)
  reply[#reply + 1] = score
end
for at = 2 * claims + 2, #ARGV, 2 do
  local client = ARGV[at]
  local wanted = now + tonumber(ARGV[at + 1])
  local before = redis.call('ZSCORE', due, client)
  if before then wanted = math.min(wanted, math.floor(tonumber(before)) - 1) end
  redis.call('ZADD', due, textOf(wanted), client)
end
return reply
