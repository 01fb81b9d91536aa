-- Clients whose time has come.
-- KEYS  1 due times
-- ARGV  1 how many at most
-- Out   now, ms; then (client, score) …, the earliest first; they stay until settle-due.lua
local nowText = textOf(now)
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', nowText, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
return { nowText, found }
