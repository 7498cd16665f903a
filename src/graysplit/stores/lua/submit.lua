-- One compare-and-set change: all of it happens, or nothing.
--
-- KEYS  1 meta    hash: revision, schema, lineage, release:<field> -> '<change id> <ms>', plan:<split> -> '<run>
--                 <version>' while a plan runs, run_id -> '<the server's run id> <ms since when, 0 at first>'
--       2 booked  hash: 'weights <field>' and 'stops <field>' as the history knows them
--       3 log     stream: one entry per change
--       and those of the next four that it writes: a caller who may not write one is refused before anything is done
-- ARGV  1 change id  2 split  3 cause  4 actor  5 why  6 from (JSON)  7 to (JSON)
--       8 server time in ms of the reading that is compared  9 '1' if it raises  10 a raise's longest age in ms
--       11 entries to keep in the log  12 '', or if it may have been sent before, up to where the log does not name it
--       and keys that may be only read, hence declared above or not at all (the same slot):
--       13 weights  hash: checkout/new -> percent or 'preview'
--       14 stops    hash: checkout/new, checkout or * -> a text for people
--       15 splits   hash: checkout -> definition, JSON
--       16 plans    hash: checkout -> a plan's progress, tick:checkout -> its driver's tick; not followed
--       a plan's step alone: 17 server time in ms from which it is due, or ''  18 until when  19 '1' if the caller has
--       been connected for long enough to do without the server's run id  20 ms that a server must be up
--       then five lists, each after its length: expectations and writes as (number of key, field, '1' or '0' for
--       absent, text), the fields whose release begins, the numbers of lost keys that are made whole, and the splits
--       whose plan ends; then the number that the revision is to be above, and a list of the splits that the entry
--       speaks of beside its writes. Writes come with the least permitted first: what a role may not do with a key that
--       it may write is refused before anything is done.
-- Gives {'ok', revision, ms}, {'again', revision, ms, from, to}, {'conflict', number of the expectation, '1' or '0',
--       text}, {'late', ms}, {'early', ms, reason} or {'corrupt', name of the key, reason}.

local NAMES = { 'weights', 'stops', 'splits', 'meta', 'plans' }
local META, BOOKED, LOG = unpack(KEYS, 1, 3)
local FOLLOWED = { ARGV[13], ARGV[14], ARGV[15], META, ARGV[16] }
local id, split, cause, actor, why, from, to = unpack(ARGV, 1, 7)
local read_at, raises, window, keep, sought = tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10]), ARGV[11], ARGV[12]
local due, overdue, settled, settle = tonumber(ARGV[17]), tonumber(ARGV[18]), ARGV[19], tonumber(ARGV[20])
for _, key in ipairs({ ARGV[13], ARGV[14], ARGV[15], ARGV[16] }) do
  local closed = barred(key)
  if closed then
    return closed
  end
end
local now = now_ms()

local at = 21
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
local ends = texts()
local above = tonumber(ARGV[at])
at = at + 1
local concerned = texts()

-- Everything is read and judged before the first write: a script that fails half way keeps its first half.
if sought ~= '' then
  local again = answered(LOG, id, sought)
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
    return { 'corrupt', NAMES[4], 'holding an invalid revision' }
  end
  if #revision > 15 then -- beyond it neither Lua nor JSON counts exactly, and Redis soon not at all
    return { 'corrupt', NAMES[4], 'holding a revision that is too large' }
  end
end
for i, expect in ipairs(expectations) do
  local found = value_of(FOLLOWED[expect.key], expect.field, expect.key <= 2 and LONGEST or LONGEST_RECORD) or false
  if found ~= (expect.present and expect.text) then
    return { 'conflict', i, found and '1' or '0', found or '' }
  end
end
if raises == '1' and math.abs(now - read_at) > window then
  return { 'late', now }
end

local needs = { { 'HINCRBY', META }, { 'XADD', LOG }, { 'HSET', META } }
for i = 1, 4 do
  if mends[i] then
    needs[#needs + 1] = { 'HSET', FOLLOWED[i] }
  end
  if faults[i] and alien(i) then
    needs[#needs + 1] = { 'DEL', FOLLOWED[i] .. ':none' } -- what is taken away below
  end
end
if fresh then
  for i = 1, 3 do
    needs[#needs + 1] = { 'HSET', FOLLOWED[i] }
  end
  needs[#needs + 1] = { 'HSET', BOOKED }
end
for _, write in ipairs(writes) do
  local command = write.present and 'HSET' or 'HDEL'
  needs[#needs + 1] = { command, FOLLOWED[write.key] }
  if write.key <= 2 then
    needs[#needs + 1] = { command, BOOKED }
  end
end
local denied = refusal(needs)
if denied then
  return redis.error_reply(denied)
end

-- A plan steps when it is due by this server's clock, and not while the server may have forgotten a rollback.
local function note_start()
  local run, known = run_id(), try('HGET', META, 'run_id') or ''
  if run and string.match(known, '^%S*') ~= run then
    known = run .. ' ' .. string.format('%.0f', known == '' and 0 or now)
    redis.call('HSET', META, 'run_id', known)
  end
  return run, now - (tonumber(string.match(known, ' (%d+)$')) or 0)
end
if due then
  local run, up = note_start()
  if (run and up < settle) or (not run and settled ~= '1') then
    return { 'early', now, 'the server has just started' }
  end
  if now < due or now > overdue then
    return { 'early', now, 'it is not due by the server\'s clock' }
  end
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
end_plans(FOLLOWED[5], META, ends) -- first: a plan that begins with this change takes the place of the one before
if writes[1] and writes[#writes].key == 5 and not due then -- the least permitted come first, and plans last
  note_start()
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
local revision, uncounted = next_revision(META, LOG, above)
if not revision then
  return redis.error_reply(uncounted)
end
local changed = {}
for i, other in ipairs(concerned) do
  changed[i] = { 'lost ' .. other }
end
for _, write in ipairs(writes) do
  changed[#changed + 1] = { NAMES[write.key] .. ' ' .. write.field, write.present and write.text }
end
local unrecorded = record(LOG, keep, split, changed, 'id', id, 'rev', revision, 'split', split, 'cause', cause,
  'actor', actor, 'why', why, 'from', from, 'to', to)
if unrecorded then
  return redis.error_reply(unrecorded)
end
return { 'ok', revision, now }
