-- What the scripts share; put before each of them. Nothing here changes anything, but `end_plan` and `end_plans`.

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

-- A hash as a table, and its fields in order; nil and the reason where it cannot be read.
local function read(key)
  local rows, fault = try('HGETALL', key)
  if fault then
    return nil, {}, fault
  end
  local found, fields = {}, {}
  for i = 1, #rows, 2 do
    found[rows[i]] = rows[i + 1]
    fields[#fields + 1] = rows[i]
  end
  table.sort(fields)
  return found, fields
end

-- A text as JSON. Only texts are ever encoded here, never decoded JSON: cjson would turn [] into {}.
local function quote(text)
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

-- Take a plan's progress away, and its mark in meta. Who may not leaves them: the driver then finds the plan over.
local function end_plan(plans, meta, split)
  try('HDEL', plans, split, 'tick:' .. split)
  try('HDEL', meta, 'plan:' .. split)
end

-- Whether a change of a field (checkout/new, checkout or *) concerns the candidate that a plan's mark names.
local function drives(mark, field)
  local version = mark and string.match(mark, ' (.*)$')
  local named = string.match(field, '/(.*)$')
  return not version or not named or named == version
end

-- Take away the plans that a change of a field (checkout/new, checkout or *) concerns.
local function end_plans(plans, meta, field)
  local split = split_of(field)
  if split ~= '*' then
    if drives(try('HGET', meta, 'plan:' .. split), field) then
      end_plan(plans, meta, split)
    end
    return
  end
  for name in pairs(read(meta) or {}) do
    local planned = string.match(name, '^plan:(.*)$')
    if planned then
      end_plan(plans, meta, planned)
    end
  end
end

-- The server's random id of this start, or nil where it is not told.
local function run_id()
  local info = try('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or nil
end

-- The answer given before to a change, where it was made within the last minute: {'again', revision, ms, from, to}.
local function answered(log, id, now)
  local entries = try('XREVRANGE', log, '+', string.format('%.0f', now - 60000), 'COUNT', 5000)
  for _, entry in ipairs(entries or {}) do
    local said = {}
    for i = 1, #entry[2], 2 do
      said[entry[2][i]] = entry[2][i + 1]
    end
    if said['id'] == id then
      local ms = tonumber(string.match(entry[1], '^%d+'))
      return { 'again', tonumber(said['rev']) or 0, ms, said['from'] or '', said['to'] or '' }
    end
  end
  return nil
end
