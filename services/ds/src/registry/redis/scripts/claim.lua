-- Claims MQTT topics that are published for the first time, as far as the caller knows.
-- ARGV: 1 detours at most, then of each topic: the topic, its detour or '', its two bits
-- Answer: number of detours, then of each topic its detour or ''
local detours = base .. 'detours'
local most = tonumber(ARGV[1])
local count = redis.call('HLEN', detours)
local answer = { '' }
for at = 2, #ARGV, 4 do
  local topic, detour = ARGV[at], ARGV[at + 1]
  local one = redis.call('SETBIT', base .. 'claimed', ARGV[at + 2], 1)
  local other = redis.call('SETBIT', base .. 'claimed', ARGV[at + 3], 1)
  if one == 1 and other == 1 then
    detour = count > 0 and redis.call('HGET', detours, topic) or ''
  elseif detour ~= '' then
    if count < most then
      count = count + redis.call('HSET', detours, topic, detour)
    else
      detour = ''
    end
  end
  answer[#answer + 1] = detour
end
answer[1] = digits(count)
return answer
