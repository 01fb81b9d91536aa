-- All of a group.
-- KEYS  1 group  2 its members  3 its done set
-- Out   name, queue, cursors, members (client, epoch …), places; nothing where there is no such
-- group
local record = redis.call('HMGET', KEYS[1], 'name', 'queue', 'cursors')
if not record[1] then return {} end
return {
  record[1], record[2], record[3],
  redis.call('HGETALL', KEYS[2]), redis.call('SMEMBERS', KEYS[3]),
}
