-- Takes messages that are due. One ds does so at a time.
-- KEYS  1 due  2 records  3 sending  hash: id -> first taken at, ms, and key of the message
--       4 taker  who takes them, for a while
-- ARGV  1 who takes  2 for how long nobody else does, ms  3 messages at most
--       4 unique beginning of the keys of those that have none yet
-- Out   id, record, key, first taken at, ms, 1 taken before | 0 …; nothing where another takes
local taker = redis.call('GET', KEYS[4])
if taker and taker ~= ARGV[1] then return {} end
redis.call('SET', KEYS[4], ARGV[1], 'PX', ARGV[2])
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local reply = {}
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ids) do
  local record = redis.call('HGET', KEYS[2], id)
  if record then
    local sending = redis.call('HGET', KEYS[3], id)
    if not sending then
      redis.call('HSET', KEYS[3], id, now .. ' ' .. ARGV[4] .. id)
    end
    local since, key = (sending or (now .. ' ' .. ARGV[4] .. id)):match('^(%d+) (.*)$')
    for _, value in ipairs({ id, record, key, since, sending and 1 or 0 }) do
      reply[#reply + 1] = value
    end
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return reply
