-- Changes of bans since one that the asker knows.
-- KEYS  1 bans  2 log, as in put.lua
-- ARGV  1 newest change that is known; '' none
-- Out   newest change; 1, or 0 where the known one is not in the log: then all bans are to be read;
--       for each change the key and the record, '' where the ban was removed
local newest = redis.call('LINDEX', KEYS[2], 0) or ''
if newest == ARGV[1] then return { newest, 1 } end
local out = { newest, 0 }
if ARGV[1] == '' then return out end
for _, change in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
  if change == ARGV[1] then
    out[2] = 1
    return out
  end
  local key = string.sub(change, 38)
  out[#out + 1] = key
  out[#out + 1] = redis.call('HGET', KEYS[1], key) or ''
end
return { newest, 0 }
