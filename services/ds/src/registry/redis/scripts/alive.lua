-- How far each ds is.
-- ARGV: 1-3 as every member
-- Answer: 'ok', last number of the log, alive
local no = refusal()
if no then
  return { no }
end
return { 'ok', redis.call('GET', base .. 'last') or '0', alive() }
