-- Roll back the release that a guard saw, and no other: weight zero and stopped, or the stop alone.
--
-- KEYS  1 stops    hash: checkout/new, checkout or * -> a text for people
--       2 weights  hash: checkout/new -> percent or 'preview'; undeclared by a caller who may only add a stop
-- ARGV  1 change id  2 field  3 release  4 why  5 actor  6 cause  7 entries to keep in the log
--       and keys that may be unreadable or forbidden, hence not declared (the same slot):
--       8 meta    hash: revision, release:<field> -> '<change id> <ms>', finished:<split>, lease:<field>
--       9 booked  hash: weights and stops as the history knows them
--       10 log    stream: one entry per change
--       11 plans  hash: checkout -> a plan's progress, tick:checkout -> its driver's tick
-- Gives 1 if a stop stands now, 0 where another release has begun.

local STOPS, WEIGHTS = KEYS[1], KEYS[2]
local id, field, release, why, actor, cause, keep = unpack(ARGV, 1, 7)
local META, BOOKED, LOG, PLANS = unpack(ARGV, 8, 11)
local split = split_of(field)

local closed = barred(META)
if closed then
  return closed
end
if not lost(META) and string.match(value_of(META, 'release:' .. field, LONGEST) or '', '^(%S*)') ~= release then
  return 0
end
for _, stop in ipairs({ field, split, '*' }) do
  if try('HEXISTS', STOPS, stop) == 1 then
    return 1
  end
end
local text = '{"why":' .. quote(why) .. ',"who":' .. quote(actor) .. ',"at":' .. string.format('%.0f', now_ms())
  .. ',"change":' .. quote(id) .. ',"release":' .. quote(release) .. '}'
if not WEIGHTS then
  redis.pcall('HDEL', STOPS, '**') -- out of memory this opens the door; a role that may not is refused, no worse off
  redis.call('HSETNX', STOPS, field, text)
  return 1
end

-- HDEL comes first: it is allowed when the server is out of memory, and after it everything else is.
local stood = value_of(WEIGHTS, field, LONGEST) or false
redis.pcall('HDEL', WEIGHTS, field)
redis.pcall('HDEL', STOPS, '**')
local _, fault = try('HSET', STOPS, field, text)
if fault then -- who may only add a stop adds it
  _, fault = try('HSETNX', STOPS, field, text)
end
local _, other = try('HSET', WEIGHTS, field, '0')
if fault and other then
  return redis.error_reply(fault)
end
-- Where history or books take nothing both stay as they are, so that whoever may write them does.
local unwritten = refusal({ { 'XADD', LOG }, { 'HSET', BOOKED } })
local before, after = {}, {}
local function note(where, was, is, failed)
  if not failed then
    before[#before + 1] = { where, was }
    after[#after + 1] = { where, is }
    if not unwritten then
      try('HSET', BOOKED, where, is)
    end
  end
end
note('stops ' .. field, false, text, fault)
note('weights ' .. field, stood, '0', other)
end_plans_of(PLANS, META, { field }, before, after)
try('HDEL', META, 'lease:' .. field, 'finished:' .. split)
if unwritten then
  return 1
end
local revision = lost(META) and 0 or next_revision(META, LOG) or 0
record(LOG, keep, split, after, 'id', id, 'rev', revision, 'split', split, 'cause', cause, 'actor', actor,
  'why', why, 'from', object(before), 'to', object(after))
return 1
