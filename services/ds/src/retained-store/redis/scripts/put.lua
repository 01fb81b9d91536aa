-- Puts retained messages, each where its order key is greater than that of its topic's record.
--
-- KEYS  1 records   hash: topic -> record; a record without a message keeps the order key
--       2 topics    sorted set: topics that have a message, all with score 0
--       3 gone      sorted set: topics that have none, by when their record may go
--       4 expiring  sorted set: topics by the time at which their message expires
--       5 replaced  hash: order key and topic -> record
--       6 kept      sorted set: fields of `replaced` by when they may go
--       7 pins      hash: order key and topic -> how many hold that version
--       8 figures   hash: count, bytes
-- ARGV  1 messages at most, 2 bytes at most, 3 to 5 in ms: how long a replaced version is kept,
--       how long one that is pinned, how long a record without a message;
--       then for each put: topic, record, and 1 where it counts whatever is there
-- Reply count, bytes, and for each put 0: it counts, or a greater one does; 1: there is no room;
--       or the order key that it was given so as to be greater
--
-- A record begins with order key (6 + 6 bytes), expiry in ms or 0 (6), size or 0: none (4).

local head = '>I6I6I6I4'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local figures = redis.call('HMGET', KEYS[8], 'count', 'bytes')
local count, bytes = tonumber(figures[1] or 0), tonumber(figures[2] or 0)
local messagesMax, bytesMax = tonumber(ARGV[1]), tonumber(ARGV[2])
local answers = { 0, 0 }

for at = 6, #ARGV, 3 do
  local topic, record, counts = ARGV[at], ARGV[at + 1], ARGV[at + 2] == '1'
  local placement, offset, expires, size = struct.unpack(head, record)
  local before = redis.call('HGET', KEYS[1], topic)
  local placement0, offset0, expires0, size0 = -1, -1, 0, 0
  if before then
    placement0, offset0, expires0, size0 = struct.unpack(head, before)
  end
  local newer = placement > placement0 or (placement == placement0 and offset > offset0)
  local answer = 0
  if counts and not newer then
    answer = struct.pack('>I6I6', placement0, offset0 + 1)
    record = answer .. string.sub(record, 13)
    newer = true
  end
  if newer then
    local count1 = count + (size > 0 and 1 or 0) - (size0 > 0 and 1 or 0)
    local bytes1 = bytes + size - size0
    if size > 0 and (count1 > messagesMax or bytes1 > bytesMax) then
      answer = 1
    else
      count, bytes = count1, bytes1
      if size0 > 0 then
        local field = string.sub(before, 1, 12) .. topic
        local keptMs = redis.call('HEXISTS', KEYS[7], field) == 1 and ARGV[4] or ARGV[3]
        redis.call('HSET', KEYS[5], field, before)
        redis.call('ZADD', KEYS[6], now + keptMs, field)
      end
      redis.call('HSET', KEYS[1], topic, record)
      if size > 0 then
        if size0 == 0 then
          redis.call('ZADD', KEYS[2], 0, topic)
          redis.call('ZREM', KEYS[3], topic)
        end
      else
        if size0 > 0 then redis.call('ZREM', KEYS[2], topic) end
        redis.call('ZADD', KEYS[3], now + ARGV[5], topic)
      end
      if size > 0 and expires > 0 then
        redis.call('ZADD', KEYS[4], expires, topic)
      elseif expires0 > 0 then
        redis.call('ZREM', KEYS[4], topic)
      end
    end
  end
  answers[#answers + 1] = answer
end

redis.call('HSET', KEYS[8], 'count', count, 'bytes', bytes)
answers[1], answers[2] = count, bytes
return answers
