-- Clients that were looked at.
-- KEYS  1 due times
-- ARGV  (client, score as it was read, next score or '' for none) …
-- Out   1. An entry that was noted meanwhile stays as it is.
for at = 1, #ARGV, 3 do
  local client, wanted = ARGV[at], ARGV[at + 2]
  local score = redis.call('ZSCORE', KEYS[1], client)
  if score and tonumber(score) == tonumber(ARGV[at + 1]) then
    if wanted == '' then
      redis.call('ZREM', KEYS[1], client)
    else
      redis.call('ZADD', KEYS[1], wanted, client)
    end
  end
end
return 1
