-- Stop a field, as a process may that can only lower: it adds a stop, and writes nothing else.
--
-- KEYS  1 stops  hash: checkout/new, checkout or * -> a text for people
-- ARGV  1 field  2 why  3 who  4 a random id  5 server time in ms: a release that began later is not stopped
--       and a key that is only read, hence not declared (the caller may not write it; the same slot):
--       6 meta   hash: release:<field> -> '<change id> <ms>'
-- Gives 1 if a stop stands now, 0 if a younger release is left alone.

local STOPS = KEYS[1]
local field, why, who, id, youngest, META = unpack(ARGV, 1, 6)
local closed = barred(META)
if closed then
  return closed
end

for _, stop in ipairs({ field, split_of(field), '*' }) do
  if try('HEXISTS', STOPS, stop) == 1 then
    return 1
  end
end
local release = value_of(META, 'release:' .. field, LONGEST) or ''
local began = tonumber(string.match(release, ' (%d+)$'))
if began and began > tonumber(youngest) then
  return 0
end
redis.pcall('HDEL', STOPS, '**') -- out of memory this opens the door; a role that may not is refused, and no worse off
redis.call('HSETNX', STOPS, field, '{"why":' .. quote(why) .. ',"who":' .. quote(who) .. ',"at":'
  .. string.format('%.0f', now_ms()) .. ',"change":' .. quote(id) .. ',"release":'
  .. quote(string.match(release, '^(%S*)')) .. '}')
return 1
