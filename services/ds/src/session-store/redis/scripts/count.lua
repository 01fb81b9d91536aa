-- Which sessions are stored, and whose: for the limits on them. Written beside the sessions, which
-- are in other slots, so a session may be missing here for a moment, or be here though it is no
-- more. KEYS  1 users (fields.ts) by client  2 counts by user ARGV  1 sessions at most  2 of one
-- user at most, then (client, user, 'ask' or 'set') … Out   count of sessions, then for each:
--       ask  'counted'   it is here as that user's
--            'reserved'  it was not, and is now
--            'room'      it is here as another user's, and that user may have one more
--            'sessions' | 'user'   the limit that is reached
--       set  'set'       it is that user's now; '': it is no more
local clients, users = KEYS[1], KEYS[2]
local total, totalMax, userMax = redis.call('HLEN', clients), tonumber(ARGV[1]), tonumber(ARGV[2])

local function put(client, before, user)
  if before == user then return end
  if before and redis.call('HINCRBY', users, before, -1) <= 0 then redis.call('HDEL', users, before) end
  if before then total = total - 1 end
  if user == '' then
    redis.call('HDEL', clients, client)
    return
  end
  redis.call('HSET', clients, client, user)
  redis.call('HINCRBY', users, user, 1)
  total = total + 1
end

local function ask(client, before, user)
  if before == user then return 'counted' end
  if not before and total >= totalMax then return 'sessions' end
  if tonumber(redis.call('HGET', users, user) or '0') >= userMax then return 'user' end
  if before then return 'room' end
  put(client, before, user)
  return 'reserved'
end

local reply = { 0 }
for at = 3, #ARGV, 3 do
  local client, user = ARGV[at], ARGV[at + 1]
  local before = redis.call('HGET', clients, client)
  if ARGV[at + 2] == 'ask' then
    reply[#reply + 1] = ask(client, before, user)
  else
    put(client, before, user)
    reply[#reply + 1] = 'set'
  end
end
reply[1] = total
return reply
