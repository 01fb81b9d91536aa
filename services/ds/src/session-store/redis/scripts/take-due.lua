-- Clients whose time has come.
-- KEYS  1 due times
-- ARGV  1 how many at most
-- Out   now, ms; then (client, score) …, the earliest first; they stay until redis-settle-due
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
return { now, found }
