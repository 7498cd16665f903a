-- Look through a piece of the log, newest first, for a change that may have been sent before. Nothing is written.
--
-- ARGV  1 log    stream: one entry per change; only read, hence not declared (the caller may not write it)
--       2 from   where to begin, as XREVRANGE takes it  3 down to where  4 change id
-- Gives {position of the newest entry or '', where to go on or '' where nothing is left, {the entry as XREVRANGE gives
-- it, or nothing}}: a piece of at most so many entries and bytes, for nobody else is answered meanwhile.

local LOG, finish, start, id = unpack(ARGV, 1, 4)
local ENTRIES, BYTES, AT_ONCE = 500, 2000000, 64

local newest, seen, bytes, count = '', 0, 0, 4
while seen < ENTRIES and bytes < BYTES do
  local rows = redis.call('XREVRANGE', LOG, finish, start, 'COUNT', count)
  for _, row in ipairs(rows) do
    newest = newest ~= '' and newest or row[1]
    for i = 1, #row[2], 2 do
      bytes = bytes + #row[2][i + 1]
      if row[2][i] == 'id' and row[2][i + 1] == id then
        return { newest, '', { row } }
      end
    end
  end
  if #rows < count then
    return { newest, '', {} }
  end
  -- Big ones may follow upon small ones, so never very many; and few where these were big.
  seen, finish = seen + #rows, '(' .. rows[#rows][1]
  count = math.max(1, math.min(2 * count, AT_ONCE, math.floor((BYTES - bytes) * seen / (bytes + 1))))
end
return { newest, finish, {} }
