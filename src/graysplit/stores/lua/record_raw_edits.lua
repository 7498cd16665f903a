-- Write a history entry for each split whose weights or stops were edited past graysplit. Processes that race book once.
--
-- Everything is compared in one step while it is little; else whoever calls names what may differ, a portion at a time.
--
-- KEYS  1 booked  hash: 'weights <field>' and 'stops <field>' as the history knows them
--       2 log     stream: one entry per change
--       3 meta    hash: revision, release:<field> -> '<change id> <ms>', lease:<field>
--       4 plans   hash: checkout -> a plan's progress, tick:checkout -> its tick; an edit of its weight ends it
--       5 weights  hash: checkout/new -> percent or 'preview'; written where somebody could only add a stop
-- ARGV  1 actor  2 a random id: the entries' change ids are this and a number  3 cause  4 entries to keep in the log
--       and a key that is only read, hence not declared (the caller may not write it; the same slot):
--       5 stops    hash: checkout/new, checkout or * -> a text for people
--       6 who the stop of a guard names  7 the cause of its entry  8 who a stop names that writes a zero back (its
--       weight is a person's business)  9 the cause of any other stop that says whose it is
--       10 how many fields are little  11 how many portions come after this one, then the places that this portion is
--       about ('weights checkout/new', 'stops checkout'): all those of its splits; none: everything
-- Gives the number of entries written, or -1 where everything is not little and nothing is named.

local BOOKED, LOG, META, PLANS, WEIGHTS = unpack(KEYS, 1, 5)
local actor, id, cause, keep, STOPS, GUARD, TRIP, BRAKE, ROLLBACK = unpack(ARGV, 1, 9)
local little, rest = tonumber(ARGV[10]), tonumber(ARGV[11])
local closed = barred(STOPS)
if closed then
  return closed
end
local now = now_ms() -- first: where it is refused nothing has been done
local _, fault = try('HLEN', BOOKED)
local _, log_fault = try('XREVRANGE', LOG, '+', '-', 'COUNT', 1)
if fault or log_fault or lost(META) then
  return 0
end

-- What is compared: the places that are named, or all there are.
local places = { unpack(ARGV, 12) }
if #places == 0 then
  if (try('HLEN', WEIGHTS) or 0) + (try('HLEN', STOPS) or 0) + (try('HLEN', BOOKED) or 0) > little then
    return -1
  end
  for _, from in ipairs({ { 'weights ', WEIGHTS }, { 'stops ', STOPS }, { '', BOOKED } }) do
    for _, field in ipairs(names_of(from[2])) do
      places[#places + 1] = from[1] .. field
    end
  end
end
local named, fields = {}, { weights = {}, stops = {} }
for _, where in ipairs(places) do
  local name, field = string.match(where, '^(%a+) (.*)$')
  if fields[name] and field ~= '_' and not named[where] then
    named[where] = true
    table.insert(fields[name], field)
  end
end
local weight_fields, stop_fields = fields.weights, fields.stops
table.sort(weight_fields)
table.sort(stop_fields)

-- Beside them whatever says that a candidate is stopped.
local asked_stops, asked_books, told = {}, {}, {}
local function ask(list, name)
  if not told[list] then
    told[list] = {}
  end
  if not told[list][name] then
    told[list][name] = true
    list[#list + 1] = name
  end
end
for _, field in ipairs({ '_', '*' }) do
  ask(asked_stops, field)
end
for _, where in ipairs({ '_', 'stops *' }) do
  ask(asked_books, where)
end
for _, list in ipairs({ weight_fields, stop_fields }) do
  for _, field in ipairs(list) do
    for _, stop in ipairs({ field, split_of(field) }) do
      ask(asked_stops, stop)
      ask(asked_books, 'stops ' .. stop)
    end
  end
end
local asked_weights = { '_' }
for _, field in ipairs(weight_fields) do
  asked_weights[#asked_weights + 1] = field
  ask(asked_books, 'weights ' .. field)
end
local weights, stops = values(WEIGHTS, '', asked_weights), values(STOPS, '', asked_stops)
local booked = values(BOOKED, '', asked_books)
local weights_stand, stops_stand = weights['_'] ~= nil, stops['_'] ~= nil
if not (weights_stand or stops_stand) then
  return 0
end

-- Whose a stop is that was added alone, by its own text: its change, who and why, or nil. What is decoded is never
-- encoded again.
local function signed(field, text)
  if field == '_' or booked['stops ' .. field] then
    return nil
  end
  local is_json, said = pcall(cjson.decode, text)
  if not is_json or type(said) ~= 'table' or type(said['who']) ~= 'string' or type(said['change']) ~= 'string' then
    return nil
  end
  local who, change = said['who'], string.match(said['change'], '^%w+$')
  if not change or who == '' or (who == GUARD and not string.find(field, '/', 1, true)) then
    return nil
  end
  return { field = field, change = change, who = who, why = type(said['why']) == 'string' and said['why'] or '' }
end

local weights_by_split = {}
for _, field in ipairs(weight_fields) do
  local split = split_of(field)
  if split ~= field then
    weights_by_split[split] = weights_by_split[split] or {}
    table.insert(weights_by_split[split], field)
  end
end

-- The weights that belong to such a stop.
local function weights_of(stop)
  if not weights_stand or stop.who == BRAKE then
    return {}
  end
  if string.find(stop.field, '/', 1, true) then
    return { stop.field }
  end
  return weights_by_split[stop.field] or {}
end
local added
added, told = {}, {}
for _, field in ipairs(stops_stand and booked['_'] and stop_fields or {}) do -- with the books lost, all is known
  local stop = signed(field, stops[field])
  if stop then
    added[#added + 1] = stop
    told['stops ' .. field] = true
    stop.zeros = {}
    for _, weight in ipairs(weights_of(stop)) do
      if not told['weights ' .. weight] then
        stop.zeros[#stop.zeros + 1] = weight
        told['weights ' .. weight] = true
      end
    end
  end
end

-- Every other difference, as {where, before or false, after or false}, by split.
local edits, splits = {}, {}
local function note(where, field, before, after)
  local split = split_of(field)
  if not edits[split] then
    edits[split] = { before = {}, after = {} }
    splits[#splits + 1] = split
  end
  table.insert(edits[split].before, { where, before })
  table.insert(edits[split].after, { where, after })
end
local function compare(name, list, found)
  for _, field in ipairs(list) do
    local where = name .. ' ' .. field
    if booked[where] ~= found[field] and not told[where] then
      note(where, field, booked[where] or false, found[field] or false)
    end
  end
end
if weights_stand then
  compare('weights', weight_fields, weights)
end
if stops_stand then
  compare('stops', stop_fields, stops)
end
table.sort(splits)
local lifted = booked['stops *'] and not stops['*'] and not named['stops *']
if #splits + #added == 0 and booked['_'] and not lifted then
  return 0
end

-- HDEL comes first: it is allowed when the server is out of memory, and after it everything else is.
redis.call('HDEL', BOOKED, '*')
local denied = refusal({ { 'HSET', BOOKED }, { 'HDEL', META }, { 'HSET', META }, { 'HINCRBY', META }, { 'XADD', LOG } })
  or (#added > 0 and refusal({ { 'HSET', WEIGHTS } }))
if denied then
  return redis.error_reply(denied)
end
local known = booked['_']
if not known and rest == 0 then -- the books themselves were lost: what stands is taken as known
  redis.call('HSET', BOOKED, '_', '1')
end
for _, stop in ipairs(added) do -- what somebody could only stop gets its zeros, too
  local where = 'stops ' .. stop.field
  local before, after = { { where, false } }, { { where, stops[stop.field] } }
  redis.call('HSET', BOOKED, where, stops[stop.field])
  for _, field in ipairs(stop.zeros) do
    before[#before + 1] = { 'weights ' .. field, booked['weights ' .. field] or false }
    after[#after + 1] = { 'weights ' .. field, '0' }
    redis.call('HSET', WEIGHTS, field, '0')
    redis.call('HSET', BOOKED, 'weights ' .. field, '0')
    redis.call('HDEL', META, 'lease:' .. field)
  end
  end_plans_of(PLANS, META, { stop.field }, before, after)
  local revision = next_revision(META, LOG) or 0
  record(LOG, keep, split_of(stop.field), after, 'id', stop.change, 'rev', revision, 'split', split_of(stop.field),
    'cause', stop.who == GUARD and TRIP or ROLLBACK, 'actor', stop.who, 'why', stop.why, 'from', object(before), 'to',
    object(after))
end
for _, split in ipairs(splits) do
  for _, pair in ipairs(edits[split].after) do
    local leased = string.match(pair[1], '^weights (.*)$')
    if leased then -- an edit from outside ends a lease
      redis.call('HDEL', META, 'lease:' .. leased)
    end
    if pair[2] then
      redis.call('HSET', BOOKED, pair[1], pair[2])
    else
      redis.call('HDEL', BOOKED, pair[1])
    end
  end
end
if not known then
  return 0
end

-- A release begins where the weight in force was zero and is not any more. Where that is for a stop on everything that
-- is gone, the entry of it comes with the last portion.
local began = {}
if weights_stand and stops_stand then
  for _, field in ipairs(weight_fields) do
    local split = split_of(field)
    if split ~= field and started(field, weights, stops, booked) then
      for _, of in ipairs({ split, '*' }) do
        began[of] = began[of] or {}
        table.insert(began[of], field)
      end
    end
  end
end
for _, field in ipairs(lifted and began['*'] or {}) do
  redis.call('HSET', META, 'release:' .. field, id .. '-0 ' .. string.format('%.0f', now))
end
for number, split in ipairs(splits) do
  local change = id .. '-' .. number
  for _, field in ipairs(began[split] or {}) do
    redis.call('HSET', META, 'release:' .. field, change .. ' ' .. string.format('%.0f', now))
  end
  local edited = {}
  for i, pair in ipairs(edits[split].after) do
    edited[i] = string.match(pair[1], ' (.*)$')
  end
  end_plans_of(PLANS, META, edited, edits[split].before, edits[split].after)
  local revision = next_revision(META, LOG) or 0
  record(LOG, keep, split, edits[split].after, 'id', change, 'rev', revision, 'split', split, 'cause', cause,
    'actor', actor, 'why', '', 'from', object(edits[split].before), 'to', object(edits[split].after))
end
return #splits + #added
