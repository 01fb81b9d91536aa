-- Removes messages that a session has sent and not completed: they go to another.
-- KEYS  1 session
-- ARGV  1 epoch, then fields
-- Out   1 removed  0 it is connected, or has another epoch, or ended
local head = redis.call('HMGET', KEYS[1], 'E', 'C')
if head[1] ~= ARGV[1] or head[2] ~= '0' then return 0 end
for at = 2, #ARGV do redis.call('HDEL', KEYS[1], ARGV[at]) end
return 1
