-- Takes messages that are due. One ds does so at a time.
-- KEYS  1 due  2 records  3 sending  hash: id -> first taken at, ms, and key of the message
--       4 taker  who takes them, for a while
-- ARGV  1 who takes  2 for how long nobody else does, ms  3 messages at most
--       4 unique beginning of the keys of those that have none yet
--       5 … ids that the taker has under way, which it does not get once more
-- Out   id, record, key, first taken at, ms, 1 taken before | 0 …; nothing where another takes
local taker = redis.call('GET', KEYS[4])
if taker and taker ~= ARGV[1] then return {} end
redis.call('SET', KEYS[4], ARGV[1], 'PX', ARGV[2])
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local reply = {}
local underWay = {}
for at = 5, #ARGV do underWay[ARGV[at]] = true end
local most = ARGV[3] + #ARGV - 4
local left = tonumber(ARGV[3])
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, most)
for _, id in ipairs(ids) do
  local record = left > 0 and not underWay[id] and redis.call('HGET', KEYS[2], id)
  if record == false and left > 0 and not underWay[id] then
    redis.call('ZREM', KEYS[1], id)
  elseif record then
    left = left - 1
    local sending = redis.call('HGET', KEYS[3], id)
    if not sending then
      redis.call('HSET', KEYS[3], id, now .. ' ' .. ARGV[4] .. id)
    end
    local since, key = (sending or (now .. ' ' .. ARGV[4] .. id)):match('^(%d+) (.*)$')
    for _, value in ipairs({ id, record, key, since, sending and 1 or 0 }) do
      reply[#reply + 1] = value
    end
  end
end
return reply
