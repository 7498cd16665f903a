-- Add what one tape of one process has counted to its release's tally: all of it, and once.
--
-- KEYS  1 counts   hash: judge -> a text; stages -> how many; started -> second; named:<side>:<name> -> how often;
--                  stage:<n> -> '<new> <old> <revision> <newest revision told> <since second>'; and by stage n and
--                  side (0 old, 1 new): <n>:c<side> calls, <n>:f<side> failures, <n>:k<side> cut short, <n>:o<side> overdue, <n>:l0 evidence dropped, <n>:l1 failed calls and the like whose unit was not told, <n>:d<side>:<bucket> durations,
--                  <n>:r<side> units first met; units exposed (x) and failed (u) by the zero bits in which their hash
--                  ends: <n>:x<side>:<zeros>, with <n>:xb the bits that who is taken must have and <n>:xn how many
--                  have them; goals: <n>:g<letter> -> name, <n>:g<letter><side>:<zeros> units,
--                  <n>:v<letter><side>:<zeros> millionths; sweep:x, sweep:u cursors while units are swept, swept the
--                  last stage whose units are gone
--       2 exposed  hash: <n>:<8 hex digits> -> side, and the letters of the goals for which the unit counts
--       3 failed   hash: <n>:<16 hex digits> -> side
--       4 running  hash: tape -> '<number> <ms> <n> <calls>|<hanging>'
--       5 tape     hash: number -> the last one applied; renewed -> second in which it last renewed what there is
--       then for each window its books, and where the batch has them the units that failed, were slow, were cut short:
--         books    hash: by kind (e errors, s slow, k cut short, d doubt, a abandoned: of old), stage, side: e<n>:<side>:<second> units first failing,
--                  e<n>:<side>:+ those of seconds before `settled`, e<n>:<side>:r repeats, e<n>:<side>:c calls;
--                  e<n> -> 1 for a stage that is counted, e -> how many; levels:e -> '<from>:<bits> ...'
--         units    hash: <16 hex digits> -> '<second>.<n>.<side>' of the call that began first; of errors also
--                  <16 hex digits>d -> the last ten seconds in which the unit was a doubt, where not those of its first
-- ARGV  1 tape  2 number  3 started  4 new  5 old  6 revision  7 sums of the stage ('<letter><side>,<calls>;'...)  8 calls cut short, as 11
--       9 calls  10 timed (each '<second>,<side>,<calls>;'...)
--       11 errors  12 slow ('<second>,<hex>,<side>,<calls>;'...)  13 exposed ('<8 hex><side>'...)
--       14 durations ('<side>,<bucket>,<calls>;'...)  15 running, or ''  16 abandoned, as 9
--       17 units of a stage that are kept exactly  18 strata at most  19 goals at most  20 seconds after which a stage
--       is closed  21 to 23 ms for which units, counts, and a tape's number are kept
--       24 number of windows, then (begin, end, ms for which it is kept) of each; number of names, then (name, old,
--       new) of each; number of goals, then (name, '<8 hex>,<millionths>;'...) of each
-- Gives {'1', or '0' where it had been applied before, the judge's text, server time in ms}.

local COUNTS, EXPOSED, FAILED, RUNNING, TAPE = unpack(KEYS, 1, 5)
local tape, number, started, new, old, revision = unpack(ARGV, 1, 6)
local totals, cut, calls, timed, errors, slow, exposed, durations, running = unpack(ARGV, 7, 15)
local abandoned = ARGV[16]
local most, strata = tonumber(ARGV[17]), tonumber(ARGV[18])
local goals_at_most, closes = tonumber(ARGV[19]), tonumber(ARGV[20])
local UNITS_MS, COUNTS_MS, TAPE_MS, WINDOWS = 21, 22, 23, 24 -- places in ARGV
local now = now_ms()
local now_s = math.floor(now / 1000)
local SWEPT_AT_ONCE, RENEWED_S, DOUBT_S = 100, 10, 10

local function number_of(text)
  return tonumber(text or nil) or 0
end
local known, unreadable = try('HMGET', COUNTS, 'judge', 'stages', 'sweep:x', 'sweep:u', 'swept')
if unreadable then
  return redis.error_reply(unreadable)
end
local judge, stages = known[1] or '', number_of(known[2])
local sweep, swept = { x = known[3], u = known[4] }, number_of(known[5])
local last = try('HMGET', TAPE, 'number', 'renewed') or {}
if tonumber(number) <= number_of(last[1]) then
  return { '0', judge, now }
end
-- Each tape renews all that its release has every ten seconds; and whoever makes a key says when it ends.
-- (A renewal in the future: the clock was set back.)
local renews = math.abs(now_s - number_of(last[2])) >= RENEWED_S
-- This write is the first: where there is no memory for it nothing is done, and whatever comes, nothing is done twice.
redis.call('HSET', TAPE, 'number', number, 'renewed', renews and now_s or last[2])
local function keep(key, ms)
  redis.call('PEXPIRE', key, ms)
end
keep(TAPE, ARGV[TAPE_MS])

-- Sums are written at the end, each key once. What holds no number, or is no hash, harms only itself.
local sums = {}
local function add(key, field, by)
  local own = sums[key] or {}
  sums[key] = own
  own[field] = (own[field] or 0) + by
end
local function values(key, fields)
  local found = {}
  for i = 1, #fields, PIECE do
    local some = try('HMGET', key, unpack(fields, i, math.min(i + PIECE - 1, #fields))) or {}
    for k = i, math.min(i + PIECE - 1, #fields) do
      found[fields[k]] = some[k - i + 1] or nil
    end
  end
  return found
end
local function put(key, rows)
  for i = 1, #rows, PIECE do
    redis.pcall('HSET', key, unpack(rows, i, math.min(i + PIECE - 1, #rows)))
  end
end
local ZEROS = {} -- of a hexadecimal digit, by its byte; all others are odd
for digit, zeros in pairs({ ['2'] = 1, ['4'] = 2, ['6'] = 1, ['8'] = 3, a = 1, c = 2, e = 1 }) do
  ZEROS[string.byte(digit)] = zeros
end
local NOUGHT = string.byte('0')
local function zeros_of(hex) -- at most 32 are told apart: the last eight digits
  local last = string.byte(hex, -1)
  if last ~= NOUGHT then
    return ZEROS[last] or 0
  end
  for place = 2, 8 do
    last = string.byte(hex, -place)
    if last ~= NOUGHT then
      return 4 * place - 4 + (ZEROS[last] or 0)
    end
  end
  return 32
end

-- Stages: the one of these shares, or a new one where the change told is newer than all that is known of the newest.
local function stage_at(n)
  local parts = {}
  for part in string.gmatch((try('HGET', COUNTS, 'stage:' .. n)) or '', '%S+') do
    parts[#parts + 1] = part
  end
  return { new = parts[1], old = parts[2], revision = number_of(parts[3]), newest = number_of(parts[4]),
    since = number_of(parts[5]) }
end
local function is_same(stage)
  return stage.new == new and stage.old == old
end
local function has_lost_units(n) -- they are kept for a shorter time than what was counted of them
  for kind, key in pairs({ x = EXPOSED, u = FAILED }) do
    if try('HLEN', key) == 0 and number_of((try('HGET', COUNTS, n .. ':' .. kind .. 'n'))) > 0 then
      return true
    end
  end
  return false
end
local function begin_stage()
  stages = stages + 1
  redis.call('HSET', COUNTS, 'stages', stages, 'started', started, 'stage:' .. stages,
    table.concat({ new, old, revision, revision, now_s }, ' '))
  keep(COUNTS, ARGV[COUNTS_MS])
  return stages
end
local function find_stage()
  local newest, told = stage_at(stages), tonumber(revision)
  if stages == 0 then
    return begin_stage()
  end
  if is_same(newest) then
    if has_lost_units(stages) then
      return begin_stage()
    end
    local first = newest.revision
    if told > 0 and (first == 0 or told < first) then
      first = told
    end
    if first ~= newest.revision or told > newest.newest then
      redis.call('HSET', COUNTS, 'stage:' .. stages, string.format('%s %s %.0f %.0f %.0f', new, old, first,
        math.max(told, newest.newest), newest.since))
    end
    return stages
  end
  if told <= newest.newest then
    for n = stages - 1, 1, -1 do
      if is_same(stage_at(n)) then
        return n
      end
    end
  end
  return begin_stage()
end
local stage = find_stage()
local in_stage = stage .. ':'
local function is_closed(n)
  return n < stages and now_s - stage_at(n + 1).since > closes
end

-- What a stage counts.
local function begun(text)
  local list = {}
  for second, side, count in string.gmatch(text, '(%d+),(%d),(%d+);') do
    list[#list + 1] = { second = tonumber(second), side = side, calls = tonumber(count) }
  end
  return list
end
local function failed(text)
  local list = {}
  for second, hex, side, count in string.gmatch(text, '(%d+),(%x+),(%d),(%d+);') do
    list[#list + 1] = { second = tonumber(second), hex = hex, side = side, calls = tonumber(count) }
  end
  return list
end
calls, timed, abandoned = begun(calls), begun(timed), begun(abandoned)
for i = #abandoned, 1, -1 do -- of old alone
  if abandoned[i].side ~= '0' then
    table.remove(abandoned, i)
  end
end
errors, slow, cut = failed(errors), failed(slow), failed(cut)
for _, one in ipairs(calls) do
  add(COUNTS, in_stage .. 'c' .. one.side, one.calls)
end
for side, bucket, count in string.gmatch(durations, '(%d),(%d+),(%d+);') do
  add(COUNTS, in_stage .. 'd' .. side .. ':' .. bucket, tonumber(count))
end
for field, count in string.gmatch(totals, '(%l%d),(%d+);') do
  add(COUNTS, in_stage .. field, tonumber(count))
end

-- Take units in that are not in: all, or when they are many those whose hash ends in enough zero bits. `first` counts
-- those that were met first, whatever their bits.
local function take(kind, key, units, first)
  local prefix, fields, zeros, sides = in_stage .. kind, {}, {}, {}
  local size = try('HMGET', COUNTS, prefix .. 'b', prefix .. 'n', in_stage .. 'r0', in_stage .. 'r1') or {}
  local bits, inside, met = number_of(size[1]), number_of(size[2]), number_of(size[3]) + number_of(size[4])
  for _, unit in ipairs(units) do
    local found = zeros_of(unit.hex)
    if found >= bits then
      fields[#fields + 1] = in_stage .. unit.hex
      zeros[#fields], sides[#fields] = found, unit.side
    end
  end
  local is_in, rows, level, taken, firsts = values(key, fields), {}, bits, { ['0'] = {}, ['1'] = {} }, { 0, 0 }
  for i, field in ipairs(fields) do
    if zeros[i] >= bits and not is_in[field] then
      local own = taken[sides[i]]
      is_in[field] = sides[i]
      rows[#rows + 1] = field
      rows[#rows + 1] = sides[i]
      own[zeros[i]] = (own[zeros[i]] or 0) + 1
      inside = inside + 1
      if first and met < most then
        met = met + 1
        firsts[sides[i] == '1' and 2 or 1] = firsts[sides[i] == '1' and 2 or 1] + 1
      end
      if inside > most then
        for side, counted in pairs(taken) do
          inside = inside - (counted[bits] or 0) - number_of((try('HGET', COUNTS, prefix .. side .. ':' .. bits)))
        end
        bits = bits + 1
      end
    end
  end
  for side, counted in pairs(taken) do
    for zeros, count in pairs(counted) do
      add(COUNTS, prefix .. side .. ':' .. zeros, count)
    end
  end
  add(COUNTS, in_stage .. 'r0', firsts[1])
  add(COUNTS, in_stage .. 'r1', firsts[2])
  if #rows > 0 then
    put(key, rows)
    keep(key, ARGV[UNITS_MS])
    redis.call('HSET', COUNTS, prefix .. 'n', inside)
  end
  if bits > level then
    sweep[kind] = '0'
    redis.call('HSET', COUNTS, prefix .. 'b', bits, 'sweep:' .. kind, '0')
  end
  return bits
end

-- Goals: once per goal and unit, of units that have met the split.
local function convert(bits, from)
  local at, letters, free = 1, {}, nil
  local count = tonumber(ARGV[from])
  if count == 0 then
    return
  end
  local slots = {}
  for i = 1, goals_at_most do
    slots[i] = in_stage .. 'g' .. string.char(96 + i)
  end
  local names = values(COUNTS, slots)
  for i = goals_at_most, 1, -1 do
    if names[slots[i]] then
      letters[names[slots[i]]] = string.char(96 + i)
    else
      free = i
    end
  end
  for goal = 1, count do
    local name, told = ARGV[from + at], ARGV[from + at + 1]
    at = at + 2
    local fields, worth = {}, {}
    for hex, micro in string.gmatch(told, '(%x+),(%d+);') do
      if zeros_of(hex) >= bits then
        fields[#fields + 1] = in_stage .. hex
        worth[#worth + 1] = tonumber(micro)
      end
    end
    local marks, rows = values(EXPOSED, fields), {}
    for i, field in ipairs(fields) do
      local mark = marks[field]
      if mark and not letters[name] and free and free <= goals_at_most then
        letters[name] = string.char(96 + free)
        redis.call('HSET', COUNTS, in_stage .. 'g' .. letters[name], name)
        free = free + 1
      end
      local letter = letters[name]
      if mark and letter and not string.find(mark, letter, 2, true) then
        marks[field] = mark .. letter
        rows[#rows + 1] = field
        rows[#rows + 1] = marks[field]
        local of = letter .. string.sub(mark, 1, 1) .. ':' .. zeros_of(field)
        add(COUNTS, in_stage .. 'g' .. of, 1)
        add(COUNTS, in_stage .. 'v' .. of, worth[i])
      end
    end
    put(EXPOSED, rows)
  end
end

local names_at = WINDOWS + 1 + 3 * tonumber(ARGV[WINDOWS])
local names = tonumber(ARGV[names_at])
if not is_closed(stage) then
  local met = {}
  for hex, side in string.gmatch(exposed, '(%x%x%x%x%x%x%x%x)(%d)') do
    met[#met + 1] = { hex = hex, side = side }
  end
  local goals_at = names_at + 3 * names + 1
  if #met > 0 or ARGV[goals_at] ~= '0' then
    convert(take('x', EXPOSED, met, true), goals_at)
  end
  if #errors > 0 then
    take('u', FAILED, errors, false)
  end
end
for i = names_at + 1, names_at + 3 * names, 3 do
  add(COUNTS, 'named:0:' .. ARGV[i], tonumber(ARGV[i + 1]))
  add(COUNTS, 'named:1:' .. ARGV[i], tonumber(ARGV[i + 2]))
end

-- A window's books.
local function leveller(text)
  local levels, known = {}, {}
  for from, bits in string.gmatch(text or '', '(%d+):(%d+)') do
    levels[#levels + 1] = { from = tonumber(from), bits = tonumber(bits) }
  end
  return function(second)
    if not known[second] then
      known[second] = levels[1] and levels[1].bits or 0
      for _, level in ipairs(levels) do
        known[second] = level.from <= second and level.bits or known[second]
      end
    end
    return known[second]
  end
end
local function place_of(window, second)
  return second < window.settled and '+' or string.format('%.0f', second)
end
local function inside(window, told)
  local list = {}
  for _, one in ipairs(told) do
    if window.begin <= one.second and one.second < window.end_ then
      list[#list + 1] = one
    end
  end
  return list
end
local function fail(window, kind, told, levels)
  local fields, changed, rows, level_at = {}, {}, {}, leveller(levels)
  for i, one in ipairs(told) do
    fields[i] = one.hex
  end
  local firsts, own, begin = values(window[kind], fields), sums[window.books] or {}, window.begin
  local lasts, later = {}, {} -- a doubt: once per unit and ten seconds, whatever process it failed in
  if kind == 'e' then
    local names = {}
    for _, one in ipairs(told) do
      local passed = firsts[one.hex] and string.match(firsts[one.hex], '^%d+')
      if passed and math.floor((begin + tonumber(passed)) / DOUBT_S) ~= math.floor(one.second / DOUBT_S) then
        names[#names + 1] = one.hex .. 'd'
      end
    end
    lasts = values(window.e, names)
  end
  sums[window.books] = own
  local mine = { ['0'] = {}, ['1'] = {} } -- by side and second: the field that counts, and how a unit is noted
  for side, of in pairs(mine) do
    of.repeats = kind .. stage .. ':' .. side .. ':r'
  end
  for _, one in ipairs(told) do
    local hex, second, repeats, of = one.hex, one.second, one.calls, mine[one.side]
    local first, passed, in_, on = firsts[hex], nil, nil, nil
    if first then
      passed, in_, on = string.match(first, '^(%d+)%.(%d+)%.(%d)$')
    end
    local before, enters, precedes = passed and begin + tonumber(passed), false, false
    if passed then
      precedes = second < before or (second == before and stage < tonumber(in_))
    else
      local level = level_at(second)
      enters = level == 0 or zeros_of(hex) >= level
    end
    if kind == 'e' and (passed or enters) then
      local ten, last = math.floor(second / DOUBT_S), hex .. 'd'
      local from = passed and math.floor(before / DOUBT_S)
      local to = from and number_of(lasts[last] or from)
      if not from or ten < from or ten > to then
        add(window.books, 'd' .. stage .. ':' .. one.side .. ':' .. place_of(window, second), 1)
        if from then
          lasts[last] = math.max(ten, to)
          later[last] = string.format('%.0f', lasts[last])
        end
      end
    end
    if precedes then
      add(window.books, kind .. in_ .. ':' .. on .. ':' .. place_of(window, before), -1)
      add(window.books, kind .. in_ .. ':' .. on .. ':r', 1)
    end
    if enters or precedes then
      local noted = of[second]
      if not noted then
        noted = { kind .. stage .. ':' .. one.side .. ':' .. place_of(window, second),
          second - begin .. '.' .. stage .. '.' .. one.side }
        of[second] = noted
      end
      own[noted[1]] = (own[noted[1]] or 0) + 1
      firsts[hex] = noted[2]
      changed[hex] = true
      repeats = repeats - 1
    end
    if repeats > 0 and (passed or enters) then
      own[of.repeats] = (own[of.repeats] or 0) + repeats
    end
  end
  for hex in pairs(changed) do
    rows[#rows + 1] = hex
    rows[#rows + 1] = firsts[hex]
  end
  for last, ten in pairs(later) do
    rows[#rows + 1] = last
    rows[#rows + 1] = ten
  end
  put(window[kind], rows)
  if #rows > 0 or renews then
    keep(window[kind], window.kept)
  end
end
-- Say whether a stage is counted in a window: at most so many are.
local function open(window, kind, marked, opened)
  if not marked and number_of(opened) >= strata then
    return false
  end
  if not marked then
    add(window.books, kind .. stage, 1)
    add(window.books, kind, 1)
  end
  return true
end
local function book(window)
  local found = try('HMGET', window.books, 'settled', 'e' .. stage, 'e', 'levels:e', 's' .. stage, 's', 'levels:s', 'levels:k')
  if not found then
    return
  end
  window.settled = number_of(found[1])
  local own, failing = inside(window, calls), inside(window, errors)
  local cutting, lost = inside(window, cut), inside(window, abandoned)
  if #own + #failing + #cutting + #lost > 0 and open(window, 'e', found[2], found[3]) then
    for _, one in ipairs(own) do
      add(window.books, 'e' .. stage .. ':' .. one.side .. ':c', one.calls)
    end
    for _, one in ipairs(lost) do
      add(window.books, 'a' .. stage .. ':0:' .. place_of(window, one.second), one.calls)
    end
    if #failing > 0 then
      fail(window, 'e', failing, found[4])
    end
    if #cutting > 0 then
      fail(window, 'k', cutting, found[8])
    end
  end
  own, failing = inside(window, timed), inside(window, slow)
  if #own + #failing > 0 and open(window, 's', found[5], found[6]) then
    for _, one in ipairs(own) do
      add(window.books, 's' .. stage .. ':' .. one.side .. ':c', one.calls)
    end
    if #failing > 0 then
      fail(window, 's', failing, found[7])
    end
  end
  return not found[3] and not found[6]
end
local renewed, at = {}, 6
local function next_key(wanted)
  if wanted then
    at = at + 1
    return KEYS[at - 1]
  end
end
for i = WINDOWS + 1, names_at - 1, 3 do
  local window = { begin = tonumber(ARGV[i]), end_ = tonumber(ARGV[i + 1]), kept = ARGV[i + 2] }
  window.books, window.e, window.s = next_key(true), next_key(#errors > 0), next_key(#slow > 0)
  window.k = next_key(#cut > 0)
  if book(window) or renews then
    renewed[#renewed + 1] = { window.books, window.kept }
  end
end

for key, own in pairs(sums) do
  local fields, rows = {}, {}
  for field, by in pairs(own) do
    if by ~= 0 then
      fields[#fields + 1] = field
    end
  end
  local found = values(key, fields)
  for _, field in ipairs(fields) do
    local sum = tonumber(found[field] or '0')
    if sum then
      rows[#rows + 1] = field
      rows[#rows + 1] = sum + own[field]
    end
  end
  put(key, rows)
end
if running == '' then
  redis.pcall('HDEL', RUNNING, tape)
else
  local told = table.concat({ number, string.format('%.0f', now), stage, running }, ' ')
  if try('HSET', RUNNING, tape, told) == 1 or renews then
    keep(RUNNING, ARGV[UNITS_MS])
  end
end

-- Units that are not kept any more go in small portions: those of stages closed, and those with too few zero bits.
if swept + 1 < stages and is_closed(swept + 1) then
  swept = swept + 1
  sweep = { x = '0', u = '0' }
  redis.call('HSET', COUNTS, 'swept', swept, 'sweep:x', '0', 'sweep:u', '0')
end
for kind, key in pairs({ x = EXPOSED, u = FAILED }) do
  local found = sweep[kind] and try('HSCAN', key, sweep[kind], 'COUNT', SWEPT_AT_ONCE)
  if found then
    local levels, gone = {}, {}
    for i = 1, #found[2], 2 do
      local n, hex = string.match(found[2][i], '^(%d+):(%x+)$')
      if n then
        levels[n] = levels[n] or number_of((try('HGET', COUNTS, n .. ':' .. kind .. 'b')))
        if tonumber(n) <= swept or zeros_of(hex) < levels[n] then
          gone[#gone + 1] = found[2][i]
        end
      end
    end
    for i = 1, #gone, PIECE do
      redis.call('HDEL', key, unpack(gone, i, math.min(i + PIECE - 1, #gone)))
    end
    if found[1] == '0' then
      redis.call('HDEL', COUNTS, 'sweep:' .. kind)
    else
      redis.call('HSET', COUNTS, 'sweep:' .. kind, found[1])
    end
  end
end
for _, kept in ipairs(renewed) do
  keep(kept[1], kept[2])
end
if renews then
  keep(COUNTS, ARGV[COUNTS_MS])
  keep(EXPOSED, ARGV[UNITS_MS])
  keep(FAILED, ARGV[UNITS_MS])
end
return { '1', judge, now }
