-- What the scripts share; put before each of them. Nothing here changes anything, but `drop`, `end_plans` and `record`.

-- How many fields one command names: `unpack` puts them all on a stack that has an end.
local PIECE = 1000

-- Server time in ms.
local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Run a command: its reply, or nil and the reason.
local function try(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    return nil, reply.err
  end
  return reply
end

-- Why the server would refuse one of these writes ({command, key} each), or nil. Each is tried in a form that fails, or
-- changes nothing, after rights, memory and disk have been looked at: a script that fails half way keeps its first half.
local FUTILE = { HSET = { '*', '', '*' }, HDEL = { '**' }, HINCRBY = { '*', 'x' }, XADD = { '0-0', '*', '' }, DEL = {} }
local FUTILE_WORDS = { 'wrong number of arguments', 'not an integer', 'ID specified in XADD' }
local function refusal(writes)
  for _, write in ipairs(writes) do
    local command, key = write[1], write[2]
    local _, fault = try(command, key, unpack(FUTILE[command]))
    local futile = false
    for _, words in ipairs(FUTILE_WORDS) do
      futile = futile or string.find(fault or words, words, 1, true) ~= nil
    end
    if not futile then
      return fault
    end
  end
  return nil
end

-- The error to give before anything is done where this server lets a script touch only the keys that are declared; nil
-- where it may touch this undeclared one, or where only this caller's rights forbid it.
local RIGHTS = { "NOPERM", "ACL failure", "no permissions", "can't access", "can't run this command" }
local function barred(key)
  local _, fault = try('PTTL', key)
  if not fault then
    return nil
  end
  for _, words in ipairs(RIGHTS) do
    if string.find(fault, words, 1, true) then
      return nil
    end
  end
  return redis.error_reply('ERR a script may touch only the keys that it declares: ' .. fault)
end

-- Why a hash does not count as an answer ('missing', 'without its field _', or the server's words); nil where it does.
local function lost(key)
  local mark, fault = try('HGET', key, '_')
  if fault then
    return fault
  end
  if mark then
    return nil
  end
  return try('HLEN', key) == 0 and 'missing' or 'without its field _'
end

-- How many bytes of a weight or stop, and of any other field, are looked at; `graysplit.core.limits` says the same.
local LONGEST, LONGEST_RECORD = 65536, 1048576

-- What stands for a value that is too long to be moved, as readers see it too; nil where it is not.
local function too_long(key, field, most)
  local length = try('HSTRLEN', key, field) -- nil: this caller may not ask
  return length and length > most and string.format('<%.0f bytes: more than the %.0f that are read>', length, most)
    or nil
end

-- A field of a hash, or what stands for it; nil where it is absent or cannot be read, and then the reason.
local function value_of(key, field, most)
  local named = too_long(key, field, most)
  if named then
    return named
  end
  local value, fault = try('HGET', key, field)
  return value or nil, fault
end

-- Some fields of a hash, by their names without the prefix; none where it cannot be read.
local function values(key, prefix, names)
  local found = {}
  for first = 1, #names, PIECE do
    local piece, at = {}, {}
    for i = first, math.min(first + PIECE - 1, #names) do
      local field = prefix .. names[i]
      local named = too_long(key, field, LONGEST)
      if named then
        found[names[i]] = named
      else
        piece[#piece + 1], at[#at + 1] = field, names[i]
      end
    end
    for i, value in ipairs(#piece > 0 and try('HMGET', key, unpack(piece)) or {}) do
      found[at[i]] = value or nil
    end
  end
  return found
end

-- The names of a hash's fields; none, and the reason, where it cannot be read.
local function names_of(key)
  local found, fault = try('HKEYS', key)
  return found or {}, fault
end

-- Take fields of a hash away; who may not leaves them.
local function drop(key, prefix, names)
  for first = 1, #names, PIECE do
    local piece = {}
    for i = first, math.min(first + PIECE - 1, #names) do
      piece[#piece + 1] = prefix .. names[i]
    end
    try('HDEL', key, unpack(piece))
  end
end

-- A text as JSON. Only texts are ever encoded here, never decoded JSON: cjson would turn [] into {}.
local function quote(text)
  if not string.find(text, '[^%w%._/ -]') then
    return '"' .. text .. '"'
  end
  return (string.gsub(cjson.encode(text), '\\/', '/'))
end

-- A list of {where, text or false} as a JSON object; false is null.
local function object(pairs_)
  local parts = {}
  for i, pair in ipairs(pairs_) do
    parts[i] = quote(pair[1]) .. ':' .. (pair[2] and quote(pair[2]) or 'null')
  end
  return '{' .. table.concat(parts, ',') .. '}'
end

local function split_of(field)
  return string.match(field, '^([^/]*)')
end

-- Whether a stored weight is certainly zero; garbage is not, for the last good weight may stand.
local function zero(text)
  if not text or text == '' or text == 'null' or text == '""' or text == '"0"' then
    return true
  end
  local whole, rest = string.match(text, '^(0+)(.*)$')
  if not whole or #whole > 3 then
    return false
  end
  return rest == '' or (#rest <= 4 and string.match(rest, '^%.0+$') ~= nil)
end

-- Whether a stored weight is certainly more than zero.
local function more(text)
  if zero(text) then
    return false
  end
  if text == 'preview' then
    return true
  end
  local whole, rest = string.match(text, '^(%d+)(.*)$')
  if not whole or #whole > 3 or (rest ~= '' and (#rest > 4 or not string.match(rest, '^%.%d+$'))) then
    return false
  end
  return tonumber(text) <= 100
end

-- Whether a raw edit has started a candidate: its weight in force was zero by the books, and is not any more.
local function started(field, weights, stops, booked)
  local split = split_of(field)
  if not more(weights[field]) or stops[field] or stops[split] or stops['*'] then
    return false
  end
  local stopped = booked['stops ' .. field] or booked['stops ' .. split] or booked['stops *']
  return stopped ~= nil or not more(booked['weights ' .. field])
end

-- Take the progress of splits' plans away, and their marks in meta. Who may not leaves them: drivers find them over.
local function end_plans(plans, meta, splits)
  drop(plans, '', splits)
  drop(plans, 'tick:', splits)
  drop(meta, 'plan:', splits)
end

-- Whether a change of a field (checkout/new, checkout or *) concerns the candidate that a plan's mark names.
local function drives(mark, field)
  local version = mark and string.match(mark, ' (.*)$')
  local named = string.match(field, '/(.*)$')
  return not version or not named or named == version
end

-- Take away the plans that changes of fields (checkout/new, checkout or *) concern, and name those that are gone among
-- what a history entry says of before and after.
local function end_plans_of(plans, meta, fields, before, after)
  local splits, over, told = {}, {}, {}
  for i, field in ipairs(fields) do
    splits[i] = split_of(field)
  end
  local marks = values(meta, 'plan:', splits)
  for i, split in ipairs(splits) do
    if split == '*' then
      local planned = {}
      for _, name in ipairs(names_of(meta)) do
        planned[#planned + 1] = string.match(name, '^plan:(.*)$')
      end
      for name, mark in pairs(values(meta, 'plan:', planned)) do
        over[#over + 1], marks[name] = name, mark
      end
    elseif drives(marks[split], fields[i]) then
      over[#over + 1] = split
    end
  end
  table.sort(over)
  end_plans(plans, meta, over)
  local left = values(meta, 'plan:', over)
  for _, split in ipairs(over) do
    if marks[split] and not left[split] and not told[split] then
      told[split] = true
      before[#before + 1] = { 'meta plan:' .. split, marks[split] }
      after[#after + 1] = { 'meta plan:' .. split, false }
    end
  end
end

-- The server's random id of this start, or nil where it is not told.
local function run_id()
  local info = try('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or nil
end

-- The answer given before to a change that whoever asks has not found up to a position of the log: {'again', revision,
-- ms, from, to, portions that come after it}. Little can have come since; nobody else is answered meanwhile.
local function answered(log, id, position)
  local entries = try('XREVRANGE', log, '+', '(' .. position, 'COUNT', 100)
  for _, entry in ipairs(entries or {}) do
    local said = {}
    for i = 1, #entry[2], 2 do
      said[entry[2][i]] = entry[2][i + 1]
    end
    if said['id'] == id then
      local ms = tonumber(string.match(entry[1], '^%d+'))
      return { 'again', tonumber(said['rev']) or 0, ms, said['from'] or '', said['to'] or '',
        tonumber(said['rest']) or 0 }
    end
  end
  return nil
end

-- The next revision: above the one that stands, the log's last, what any process is known to have followed, and `above`.
-- After a failover no number comes again. Nil and the reason where the server does not count.
local function next_revision(meta, log, above)
  local stands = tonumber(try('HGET', meta, 'revision') or '') or 0
  local most = math.max(stands, above or 0)
  local function pass(text)
    if text and string.match(text, '^%d+$') and #text <= 14 then -- a larger one was written by a hand
      most = math.max(most, tonumber(text))
    end
  end
  pass(try('HGET', string.sub(meta, 1, -#'meta' - 1) .. 'fleet:highest', 'revision'))
  local last = (try('XREVRANGE', log, '+', '-', 'COUNT', 1) or {})[1]
  for i = 1, last and #last[2] or 0, 2 do
    if last[2][i] == 'rev' then
      pass(last[2][i + 1])
    end
  end
  return try('HINCRBY', meta, 'revision', string.format('%.0f', most + 1 - stands))
end

-- How many of a split's last changes the index names.
local INDEXED = 50

-- How many bytes the log holds, the entries that a process remembers apart: law 7 looks for them.
local BYTES, REMEMBERED = 33554432, 1000

-- How many bytes had been written into the log with an entry; nil where an older version wrote it.
local function sum_of(row)
  for i = 1, #row[2], 2 do
    if row[2][i] == 'sum' then
      return tonumber(row[2][i + 1])
    end
  end
  return nil
end

-- How long the log is, and how many of its oldest entries must go: a few at a time, for they have to be looked at. The
-- server itself, which knows of older versions' entries too, is asked now and then: of a long log, which takes it 10 ms,
-- more seldom, and then for more.
local function excess(log, sum)
  local length, gone, first = try('XLEN', log) or 0, 0, '-'
  local each = length > 4096 and 256 or 16
  local most = math.min(length - REMEMBERED, 64)
  if most > 0 and length % each == 0 and (try('MEMORY', 'USAGE', log, 'SAMPLES', 0) or 0) > BYTES then
    return length, math.min(length - REMEMBERED, 4 * each)
  end
  while gone < most do
    local row = (try('XRANGE', log, first, '+', 'COUNT', 1) or {})[1]
    local own = row and sum_of(row)
    if not own or sum - own <= BYTES then
      break
    end
    gone, first = gone + 1, '(' .. row[1]
  end
  return length, gone
end

-- Append an entry to the log, and note in the index where it stands; gives the reason where the log takes none.
--
-- log     stream: one entry per change
-- latest  (beside it) hash, the index: _ -> '<position since which it knows every entry> <the last one it knows>', checkout -> the
--         same position it was begun with, and those of the split's last changes, newest first; beside them
--         'splits checkout' -> its definition as the log knows it last. Who may not write it
--         leaves it behind, and whoever wrote nothing into it makes it begin anew: readers look through the rest.
-- places  what the entry changes, as {'weights checkout/new', text or false} each
local function record(log, keep, split, places, ...)
  local latest = string.sub(log, 1, -#'log' - 1) .. 'latest'
  local end_ = try('XREVRANGE', log, '+', '-', 'COUNT', 1)
  local entry, size = { ... }, 0
  for _, text in ipairs(entry) do
    size = size + #tostring(text)
  end
  local since, known, sum = string.match(try('HGET', latest, '_') or '', '^(%S+) (%S+) ?(%d*)$')
  sum = math.max(tonumber(sum or '') or 0, end_ and end_[1] and sum_of(end_[1]) or 0) + size
  entry[#entry + 1] = 'sum'
  entry[#entry + 1] = string.format('%.0f', sum)
  local length, spare = excess(log, sum)
  local at, fault
  if spare > 0 then
    at, fault = try('XADD', log, 'MAXLEN', length + 1 - spare, '*', unpack(entry))
  else
    at, fault = try('XADD', log, 'MAXLEN', '~', keep, '*', unpack(entry))
  end
  if fault then
    return fault
  end
  if not known or not end_ or not end_[1] or end_[1][1] ~= known then
    since = at
  end
  local names, told = {}, { _ = true }
  local function name(of)
    if of and not told[of] then
      told[of] = true
      names[#names + 1] = of
    end
  end
  name(split)
  for _, place in ipairs(places) do
    local key, field = string.match(place[1], '^(%l+) (.*)$')
    if key == 'splits' and place[2] then -- the log holds what changed of it, and `recover` wants the whole
      try('HSET', latest, place[1], place[2])
    end
    name(key ~= 'meta' and field and split_of(field) or nil)
  end
  local positions = values(latest, '', names)
  for _, of in ipairs(names) do
    local line, count = since .. ' ' .. at, 1
    local begun, rest = string.match(positions[of] or '', '^(%S+)(.*)$')
    for position in string.gmatch(begun == since and rest or '', '%S+') do
      if count < INDEXED then
        line, count = line .. ' ' .. position, count + 1
      end
    end
    if not try('HSET', latest, of, line) then
      return nil
    end
  end
  try('HSET', latest, '_', since .. ' ' .. at .. ' ' .. string.format('%.0f', sum))
  return nil
end
