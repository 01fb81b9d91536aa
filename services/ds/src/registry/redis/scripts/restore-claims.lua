-- Stores again what a ds knows of claims. Detours that others have made meanwhile stay.
-- ARGV: 1 'bits', then bits; or 'detours', then topics and their detours
if ARGV[1] == 'bits' then
  for at = 2, #ARGV do
    redis.call('SETBIT', base .. 'claimed', ARGV[at], 1)
  end
else
  for at = 2, #ARGV, 2 do
    redis.call('HSETNX', base .. 'detours', ARGV[at], ARGV[at + 1])
  end
end
return ''
