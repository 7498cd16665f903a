-- Weight zero and stopped, whatever stands there. Compares nothing, and is refused for nothing that the keys hold.
--
-- KEYS  1 weights  hash: checkout/new -> percent or 'preview'
--       2 stops    hash: checkout/new, checkout or * -> a text for people
-- ARGV  1 change id  2 target: checkout, ranking/b, or * (every unfinished release)  3 actor  4 why  5 cause
--       6 '1' if it may have been sent before  7 entries to keep in the log
--       and keys that may be unreadable or forbidden, hence not declared (the same slot):
--       8 meta    hash: revision, release:<field>, finished:<split>
--       9 booked  hash: weights and stops as the history knows them
--       10 log    stream: one entry per change
--       11 plans  hash: checkout -> a plan's progress, tick:checkout -> its driver's tick
-- Gives {'ok', revision (0: none), ms, why there is no revision or history entry or '', {where, before or nil, after,
--       ...}, {finished splits left alone}}, {'again', revision, ms, from, to} or {'failed', reason}.

local WEIGHTS, STOPS = KEYS[1], KEYS[2]
local id, target, actor, why, cause, attempt, keep = unpack(ARGV, 1, 7)
local META, BOOKED, LOG, PLANS = unpack(ARGV, 8, 11)
local now = now_ms()

if attempt == '1' then
  local again = answered(LOG, id, now)
  if again then
    return again
  end
end

-- What is to be lowered; in doubt, more.
local weights, fields = read(WEIGHTS)
local meta = read(META) or {}
local stops, zeros, left = {}, {}, {}
if target ~= '*' then
  stops[1] = target
  if string.find(target, '/', 1, true) then
    zeros[1] = target
  else
    for _, field in ipairs(fields) do
      if string.sub(field, 1, #target + 1) == target .. '/' then
        zeros[#zeros + 1] = field
      end
    end
  end
elseif not weights or not weights['_'] then
  stops[1] = '*'
else
  local running = {}
  for _, field in ipairs(fields) do
    local split = split_of(field)
    if split ~= field and not zero(weights[field]) and not running[split] then
      running[split] = true
      local list = meta['finished:' .. split] and left or stops
      list[#list + 1] = split
    end
  end
  for _, split in ipairs(left) do
    running[split] = nil
  end
  for _, field in ipairs(fields) do
    if split_of(field) ~= field and running[split_of(field)] then
      zeros[#zeros + 1] = field
    end
  end
end

local function stop_text(stop)
  local releases = {}
  for _, field in ipairs(zeros) do
    local release = (field == stop or split_of(field) == stop) and meta['release:' .. field]
    if release then
      releases[#releases + 1] = string.match(release, '^(%S*)')
    end
  end
  return '{"why":' .. quote(why) .. ',"who":' .. quote(actor) .. ',"at":' .. string.format('%.0f', now)
    .. ',"change":' .. quote(id) .. ',"release":' .. quote(table.concat(releases, ' ')) .. '}'
end

-- HDEL comes first: it is allowed when the server is out of memory, and after it everything else is.
local standing = {}
for _, stop in ipairs(stops) do
  standing['stops ' .. stop] = try('HGET', STOPS, stop) or false
end
redis.pcall('HDEL', WEIGHTS, zeros[1] or '*')
redis.pcall('HDEL', STOPS, stops[1] or '**')

local before, after, faults = {}, {}, {}
local function put(key, where, field, text, stood, kept)
  local done, fault = try('HSET', key, field, text)
  if fault and key == STOPS then -- a role that can only lower may add a stop, and not change one that stands
    done, fault = try('HSETNX', key, field, text)
    text = done == 0 and stood or text
  end
  if done then
    before[#before + 1] = { where, stood }
    after[#after + 1] = { where, text }
    if not kept then -- one that nobody has booked yet is booked as whose it is
      try('HSET', BOOKED, where, text)
    end
  else
    faults[#faults + 1] = fault
  end
end
for _, stop in ipairs(stops) do
  local stood = standing['stops ' .. stop]
  local kept = stood and stood ~= '' -- the first reason stays in the stop; this one is in the history
  put(STOPS, 'stops ' .. stop, stop, kept and stood or stop_text(stop), stood, kept)
  end_plans(PLANS, META, stop)
  try('HDEL', META, 'finished:' .. split_of(stop)) -- a finished release that is rolled back is open again
end
for _, field in ipairs(zeros) do
  put(WEIGHTS, 'weights ' .. field, field, '0', weights and weights[field] or false)
  try('HDEL', META, 'lease:' .. field)
end
if #stops > 0 and #after == 0 then
  return { 'failed', faults[1] or 'nothing could be written' }
end

-- The history, as far as it can be written.
local revision, unrecorded = tonumber(meta['revision']) or 0, ''
if #after > 0 then
  local fault = lost(META)
  revision = 0
  if not fault then
    revision, fault = try('HINCRBY', META, 'revision', 1)
  end
  if fault then
    revision, unrecorded = 0, 'meta: ' .. fault
  end
  local _
  _, fault = try('XADD', LOG, 'MAXLEN', '~', keep, '*', 'id', id, 'rev', revision, 'split', split_of(target), 'cause',
    cause, 'actor', actor, 'why', why, 'from', object(before), 'to', object(after))
  if fault then
    unrecorded = 'log: ' .. fault
  end
end
local rows = {}
for i, pair in ipairs(before) do
  rows[#rows + 1] = pair[1]
  rows[#rows + 1] = pair[2]
  rows[#rows + 1] = after[i][2]
end
return { 'ok', revision, now, unrecorded, rows, left }
