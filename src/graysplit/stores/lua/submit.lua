-- One compare-and-set change: all of it happens, or nothing.
--
-- KEYS  1 meta    hash: revision, schema, lineage, release:<field> -> '<change id> <ms>'
--       2 booked  hash: 'weights <field>' and 'stops <field>' as the history knows them
--       3 log     stream: one entry per change
--       and those of the next three that it writes: a caller who may not write one is refused before anything is done
-- ARGV  1 change id  2 split  3 cause  4 actor  5 why  6 from (JSON)  7 to (JSON)
--       8 server time in ms of the reading that is compared  9 '1' if it raises  10 a raise's longest age in ms
--       11 entries to keep in the log  12 '1' if it may have been sent before
--       and keys that may be only read, hence declared above or not at all (the same slot):
--       13 weights  hash: checkout/new -> percent or 'preview'
--       14 stops    hash: checkout/new, checkout or * -> a text for people
--       15 splits   hash: checkout -> definition, JSON
--       then four lists, each after its length: expectations and writes as (number of key, field, '1' or '0' for
--       absent, text), the fields whose release begins, and the numbers of lost keys that are made whole. Writes come
--       with the least permitted first: what a role may not do with a key that it may write is refused before anything
--       is done.
-- Gives {'ok', revision, ms}, {'again', revision, ms, from, to}, {'conflict', number of the expectation, '1' or '0',
--       text}, {'late', ms} or {'corrupt', name of the key, reason}.

local NAMES = { 'weights', 'stops', 'splits', 'meta' }
local META, BOOKED, LOG = unpack(KEYS, 1, 3)
local FOLLOWED = { ARGV[13], ARGV[14], ARGV[15], META }
local id, split, cause, actor, why, from, to = unpack(ARGV, 1, 7)
local read_at, raises, window, keep, attempt = tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10]), ARGV[11], ARGV[12]
local now = now_ms()

local at = 16
local function places()
  local list, count = {}, tonumber(ARGV[at])
  at = at + 1
  for i = 1, count do
    list[i] = { key = tonumber(ARGV[at]), field = ARGV[at + 1], present = ARGV[at + 2] == '1', text = ARGV[at + 3] }
    at = at + 4
  end
  return list
end
local expectations, writes = places(), places()
local function texts()
  local list, count = {}, tonumber(ARGV[at])
  for i = 1, count do
    list[i] = ARGV[at + i]
  end
  at = at + count + 1
  return list
end
local begins, mends = texts(), {}
for _, number in ipairs(texts()) do
  mends[tonumber(number)] = true
end

-- Everything is read and judged before the first write: a script that fails half way keeps its first half.
if attempt == '1' then
  local again = answered(LOG, id, now)
  if again then
    return again
  end
end
local faults = {}
for i = 1, 4 do
  faults[i] = lost(FOLLOWED[i])
end
-- A new namespace may hold fields that somebody lowered before there was anything: a rollback, a raw stop.
local function unmarked(i)
  return faults[i] == 'missing' or faults[i] == 'without its field _'
end
local fresh = unmarked(1) and unmarked(2) and faults[3] == 'missing' and faults[4] == 'missing'
-- What holds no hash can be made whole only by taking it away; what this caller may not read stays as it is.
local function alien(i)
  return string.match(faults[i], '^WRONGTYPE') ~= nil
end
for i = 1, 4 do
  if faults[i] and not fresh and not (mends[i] and (unmarked(i) or alien(i))) then
    return { 'corrupt', NAMES[i], faults[i] }
  end
end
local booked, fault = try('HGET', BOOKED, '_')
if fault then
  return { 'corrupt', 'booked', fault }
end
local last
last, fault = try('XREVRANGE', LOG, '+', '-', 'COUNT', 1)
if fault then
  return { 'corrupt', 'log', fault }
end
if not fresh then
  local revision = try('HGET', META, 'revision') or '0'
  if not string.match(revision, '^%d+$') then
    return { 'corrupt', NAMES[4], 'holding a revision that is no number' }
  end
end
for i, expect in ipairs(expectations) do
  local found = try('HGET', FOLLOWED[expect.key], expect.field) or false
  if found ~= (expect.present and expect.text) then
    return { 'conflict', i, found and '1' or '0', found or '' }
  end
end
if raises == '1' and math.abs(now - read_at) > window then
  return { 'late', now }
end

if fresh then
  for _, key in ipairs({ FOLLOWED[3], FOLLOWED[2], FOLLOWED[1], META, BOOKED }) do
    redis.call('HSET', key, '_', '1')
  end
  redis.call('HSET', META, 'schema', '1', 'lineage', id)
end
for i = 1, 4 do
  if faults[i] and alien(i) then -- first: not everybody may, and then nothing is written
    redis.call('DEL', FOLLOWED[i])
  end
end
for i = 1, 4 do
  if mends[i] then
    redis.call('HSET', FOLLOWED[i], '_', '1')
  end
end
for _, write in ipairs(writes) do
  local where = NAMES[write.key] .. ' ' .. write.field
  if write.present then
    redis.call('HSET', FOLLOWED[write.key], write.field, write.text)
  else
    redis.call('HDEL', FOLLOWED[write.key], write.field)
  end
  if write.key <= 2 then
    if write.present then
      redis.call('HSET', BOOKED, where, write.text)
    else
      redis.call('HDEL', BOOKED, where)
    end
  end
end
for _, field in ipairs(begins) do
  redis.call('HSET', META, 'release:' .. field, id .. ' ' .. string.format('%.0f', now))
end
local revision = redis.call('HINCRBY', META, 'revision', 1)
redis.call('XADD', LOG, 'MAXLEN', '~', keep, '*', 'id', id, 'rev', revision, 'split', split, 'cause', cause,
  'actor', actor, 'why', why, 'from', from, 'to', to)
return { 'ok', revision, now }
