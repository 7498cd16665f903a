-- Look through a piece of the log, newest first, for what may be changes of one split. Nothing is written.
--
-- ARGV  1 log    stream: one entry per change; only read, hence not declared (the caller may not write it)
--       2 from   where to begin, as XREVRANGE takes it  3 down to where  4 split  5 how many are wanted
-- Gives {where to go on, or '' where nothing is left, {entries as XREVRANGE gives them}}: a piece of at most so many
-- entries and bytes, for nobody else is answered meanwhile.

local LOG, finish, start, split = unpack(ARGV, 1, 4)
local wanted = tonumber(ARGV[5])
local ENTRIES, BYTES, AT_ONCE = 1000, 2000000, 64

-- Whether a text of fields names one of the split's: `weights checkout/new`, `stops checkout`.
local function names(text)
  return string.find(text, ' ' .. split .. '/', 1, true) or string.find(text, ' ' .. split .. '"', 1, true)
end
local found, seen, bytes, count = {}, 0, 0, 4
while seen < ENTRIES and bytes < BYTES do
  local rows = redis.call('XREVRANGE', LOG, finish, start, 'COUNT', count)
  local before = bytes
  for _, row in ipairs(rows) do
    local concerns = false
    for i = 1, #row[2], 2 do
      local name, text = row[2][i], row[2][i + 1]
      bytes = bytes + #text
      concerns = concerns or (name == 'split' and text == split) or ((name == 'from' or name == 'to') and names(text))
    end
    if concerns then
      found[#found + 1] = row
    end
    if #found == wanted then
      return { '', found }
    end
  end
  if #rows < count then
    return { '', found }
  end
  -- As many more as fit, if they are like these; big ones may follow upon small ones, so never very many.
  local fit = math.floor((BYTES - bytes) / ((bytes - before) / #rows + 1))
  seen, finish, count = seen + #rows, '(' .. rows[#rows][1], math.max(1, math.min(2 * count, AT_ONCE, fit))
end
return { finish, found }
