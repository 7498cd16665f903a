-- Note how far a plan's clock has come, if nobody was faster.
--
-- KEYS  1 plans  hash: checkout -> a plan's progress, tick:checkout -> its driver's tick
-- ARGV  1 split  2 progress as read  3 tick as read  4 progress  5 tick
-- Gives 1, or 0 where progress or tick are no longer as read.

local PLANS = KEYS[1]
local split, progress, tick, new_progress, new_tick = unpack(ARGV, 1, 5)

local found = redis.call('HMGET', PLANS, split, 'tick:' .. split)
if found[1] ~= progress or found[2] ~= tick then
  return 0
end
redis.call('HSET', PLANS, split, new_progress, 'tick:' .. split, new_tick)
return 1
