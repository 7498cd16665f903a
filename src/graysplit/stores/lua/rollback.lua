-- Weight zero and stopped, whatever stands there. Compares nothing, and is refused for nothing that the keys hold.
--
-- Everything is lowered in one write while it is little; else whoever calls names what runs, a portion at a time, each
-- portion in one write of its own.
--
-- KEYS  1 weights  hash: checkout/new -> percent or 'preview'
--       2 stops    hash: checkout/new, checkout or * -> a text for people
-- ARGV  1 change id  2 target: checkout, ranking/b, or * (every unfinished release)  3 actor  4 why  5 cause
--       6 '', or if it may have been sent before, up to where the log does not name it  7 entries to keep in the log
--       and keys that may be unreadable or forbidden, hence not declared (the same slot):
--       8 meta    hash: revision, release:<field>, finished:<split>, each -> '<change id> <ms>'
--       9 booked  hash: weights and stops as the history knows them
--       10 log    stream: one entry per change
--       11 plans  hash: checkout -> a plan's progress, tick:checkout -> its driver's tick
--       12 of everything: how many weights are little  13 '' for all of it, or how many portions come after this one,
--       then the fields of weights that this portion is about, all those of each split
-- Gives {'ok', revision (0: none), ms, why there is no revision or history entry or '', {where, before or nil, after or
--       nil (the mark of a plan that is over), ...}, {weights that finished releases keep: field, text, ...}}, {'again', revision, ms, from, to, portions that
--       come after}, {'many'} (nothing is written: it must come in portions) or {'failed', reason}.

local WEIGHTS, STOPS = KEYS[1], KEYS[2]
local id, target, actor, why, cause, sought, keep = unpack(ARGV, 1, 7)
local META, BOOKED, LOG, PLANS = unpack(ARGV, 8, 11)
local little, rest = tonumber(ARGV[12]), ARGV[13]
local closed = barred(META)
if closed then
  return closed
end
local now = now_ms()

if sought ~= '' then
  local again = answered(LOG, id, sought)
  if again then
    return again
  end
end

local MANY = 5000 -- weights
-- What is to be lowered; in doubt, more. `own`: the fields to zero beside each stop.
local weights, stops, own, spared = nil, {}, {}, {}

-- The splits whose release is finished. Its mark is void once a later release of the split has begun, be the entry of
-- that still to come.
local function finished(names, of)
  local marks, fields, found = values(META, 'finished:', names), {}, {}
  local books, standing = { '_', 'stops *' }, { '_', '*' }
  for split in pairs(marks) do
    table.insert(books, 'stops ' .. split)
    table.insert(standing, split)
    for _, field in ipairs(of[split]) do
      table.insert(fields, field)
      table.insert(books, 'weights ' .. field)
      table.insert(books, 'stops ' .. field)
      table.insert(standing, field)
    end
  end
  local begun = values(META, 'release:', fields)
  local booked, stopped = values(BOOKED, '', books), values(STOPS, '', standing)
  for split, mark in pairs(marks) do
    local since = string.match(mark, '([^ ]*)$')
    since = string.match(since, '^%d+$') and #since < 20 and tonumber(since) or 0
    found[split] = true
    for _, field in ipairs(of[split]) do
      local later = tonumber(string.match(begun[field] or '', ' (%d+)$')) or 0
      if later > since or (booked['_'] and stopped['_'] and started(field, weights, stopped, booked)) then
        found[split] = nil
      end
    end
  end
  return found
end

-- Take every split with a candidate that may be above zero, unless its release is finished.
local function take_running(fields)
  local of, names = {}, {}
  for _, field in ipairs(fields) do
    local split = split_of(field)
    if split ~= field then
      of[split] = of[split] or {}
      table.insert(of[split], field)
      if not zero(weights[field]) and not own[split] then
        own[split] = of[split]
        names[#names + 1] = split
      end
    end
  end
  local over = finished(names, of)
  for _, split in ipairs(names) do
    if over[split] then
      for _, field in ipairs(of[split]) do
        if not zero(weights[field]) then
          spared[#spared + 1] = field
          spared[#spared + 1] = weights[field]
        end
      end
    else
      stops[#stops + 1] = split
    end
  end
end

-- The weights of one split. Of very many the server itself looks for those that begin so, which takes it a tenth of
-- the time; where it may not, and of few (one may be long, and the search would bring it), their names are read.
local function fields_of(split)
  local found, told, cursor = {}, {}, '0'
  local much = (tonumber(try('HLEN', WEIGHTS) or 0)) > MANY
  local pattern = (string.gsub(split, '[%*%?%[%]%^\\]', '\\%0')) .. '/*'
  while much and cursor do
    local page = try('HSCAN', WEIGHTS, cursor, 'MATCH', pattern, 'COUNT', 10000)
    for i = 1, page and #page[2] or 0, 2 do
      local field = page[2][i]
      if not told[field] then
        told[field] = true
        found[#found + 1] = field
      end
    end
    cursor = page and page[1]
    if cursor == '0' then
      return found
    end
  end
  found = {}
  for _, field in ipairs(names_of(WEIGHTS)) do
    if string.sub(field, 1, #split + 1) == split .. '/' then
      found[#found + 1] = field
    end
  end
  return found
end

if target == '*' and rest ~= '' then
  local fields = { unpack(ARGV, 14) }
  weights = values(WEIGHTS, '', fields)
  take_running(fields)
elseif target == '*' and (tonumber(try('HLEN', WEIGHTS) or 0)) > little then
  return { 'many' }
elseif string.find(target, '/', 1, true) then
  weights = values(WEIGHTS, '', { target })
  stops, own = { target }, { [target] = { target } }
else
  if target ~= '*' then
    stops, own = { target }, { [target] = fields_of(target) }
    weights = values(WEIGHTS, '', own[target])
  else
    local fields = names_of(WEIGHTS)
    weights = values(WEIGHTS, '', fields)
    if weights['_'] then
      take_running(fields)
    else
      stops, own = { '*' }, { ['*'] = {} }
    end
  end
end
local zeros = {}
for _, stop in ipairs(stops) do
  table.sort(own[stop])
  for _, field in ipairs(own[stop]) do
    zeros[#zeros + 1] = field
  end
end
local releases = values(META, 'release:', zeros)

local said = '{"why":' .. quote(why) .. ',"who":' .. quote(actor) .. ',"at":' .. string.format('%.0f', now)
  .. ',"change":' .. quote(id) .. ',"release":'
local function stop_text(stop)
  local ended = {}
  for _, field in ipairs(own[stop]) do
    ended[#ended + 1] = releases[field] and string.match(releases[field], '^(%S*)')
  end
  return said .. quote(table.concat(ended, ' ')) .. '}'
end

-- HDEL comes first: it is allowed when the server is out of memory, and after it everything else is.
local standing, unreadable = values(STOPS, '', stops), {}
for _, stop in ipairs(stops) do
  unreadable[stop] = standing[stop] and too_long(STOPS, stop, LONGEST)
end
redis.pcall('HDEL', WEIGHTS, zeros[1] or '*')
redis.pcall('HDEL', STOPS, stops[1] or '**')

local before, after, faults, booked, kept = {}, {}, {}, {}, {}
local function note(where, stood, text)
  before[#before + 1] = { where, stood or false }
  after[#after + 1] = { where, text }
  if not kept[where] then -- a stop that nobody has booked yet is booked as whose it is
    booked[#booked + 1] = where
    booked[#booked + 1] = text
  end
end
-- Add one stop: a role that can only lower may do that, and not change one that stands.
local function add(stop, text)
  local done, fault = try('HSETNX', STOPS, stop, text)
  if done then
    note('stops ' .. stop, standing[stop], done == 0 and standing[stop] or text)
  else
    faults[#faults + 1] = fault
  end
end
-- Write fields of a hash, each with its text; false where they are refused.
local function put(key, name, fields, texts, stood)
  for first = 1, #fields, PIECE do
    local last, piece = math.min(first + PIECE - 1, #fields), {}
    for i = first, last do
      piece[#piece + 1] = fields[i]
      piece[#piece + 1] = texts[i]
    end
    local _, fault = try('HSET', key, unpack(piece))
    if fault then
      return fault
    end
    for i = first, last do
      note(name .. fields[i], stood[fields[i]], texts[i])
    end
  end
end
local texts, nought = {}, {}
for i, stop in ipairs(stops) do
  local stood = standing[stop]
  if stood and stood ~= '' and not unreadable[stop] then -- the first reason stays in the stop; this one is in the history
    texts[i], kept['stops ' .. stop] = stood, true
  else
    texts[i] = stop_text(stop)
  end
end
for i = 1, #zeros do
  nought[i] = '0'
end
if put(STOPS, 'stops ', stops, texts, standing) then
  for i, stop in ipairs(stops) do
    add(stop, texts[i])
  end
end
faults[#faults + 1] = put(WEIGHTS, 'weights ', zeros, nought, weights or {})
if #stops > 0 and #after == 0 then
  return { 'failed', faults[1] or 'nothing could be written' }
end
for first = 1, #booked, 2 * PIECE do
  try('HSET', BOOKED, unpack(booked, first, math.min(first + 2 * PIECE - 1, #booked)))
end
local lowered = #after
end_plans_of(PLANS, META, stops, before, after)
local opened = {}
for i, stop in ipairs(stops) do
  opened[i] = split_of(stop)
end
drop(META, 'finished:', opened) -- a finished release that is rolled back is open again
drop(META, 'lease:', zeros)

-- The history, as far as it can be written.
local revision, unrecorded = tonumber(try('HGET', META, 'revision') or '') or 0, ''
if lowered > 0 then
  local fault = lost(META)
  revision = 0
  if not fault then
    revision, fault = next_revision(META, LOG)
  end
  if fault then
    revision, unrecorded = 0, 'meta: ' .. fault
  end
  fault = record(LOG, keep, split_of(target), after, 'id', id, 'rev', revision, 'split', split_of(target), 'cause',
    cause, 'actor', actor, 'why', why, 'from', object(before), 'to', object(after),
    unpack(rest ~= '' and { 'rest', rest } or {}))
  if fault then
    unrecorded = 'log: ' .. fault
  end
end
local rows = {}
for i = 1, #after do
  rows[#rows + 1] = before[i][1]
  rows[#rows + 1] = before[i][2]
  rows[#rows + 1] = after[i][2]
end
return { 'ok', revision, now, unrecorded, rows, spared }
