-- Write a judgement if the judge's text is still as read, and fold up what no mark tells apart any more.
--
-- KEYS  1 counts  2 exposed  3 failed  4 running: as flush.lua has them
--       5 course  zset: a sample, as JSON, by its second
--       then books of windows, as flush.lua has them
-- ARGV  1 the judge's text as read  2 after  3 seconds before this one are settled  4 sample or ''  5 its second
--       6 and 7 ms for which units and calls under way, and for which counts and course are kept
--       8 number of books to settle: they come first  9 number of tapes to forget, then each; number of levels, then
--       (place among the books, e, s or k, '<from>:<bits> ...') of each; number of books, then ms for which each is kept
-- Gives 1, or 0 where somebody was faster.

local COUNTS, EXPOSED, FAILED, RUNNING, COURSE = unpack(KEYS, 1, 5)
local before, after, settled, sample, second = unpack(ARGV, 1, 5)
local judge, fault = try('HGET', COUNTS, 'judge')
if fault then
  return redis.error_reply(fault)
elseif (judge or '') ~= before then
  return 0
end
redis.call('HSET', COUNTS, 'judge', after)

local at = 9
local function lists(width)
  local rows, count = {}, tonumber(ARGV[at])
  for i = 1, count do
    rows[i] = { unpack(ARGV, at + 1 + width * (i - 1), at + width * i) }
  end
  at = at + 1 + width * count
  return rows
end
for _, tape in ipairs(lists(1)) do
  redis.pcall('HDEL', RUNNING, tape[1]) -- what is no hash harms only itself
end
for _, level in ipairs(lists(3)) do
  redis.pcall('HSET', KEYS[5 + tonumber(level[1])], 'levels:' .. level[2], level[3])
end
local kept = { ARGV[7], ARGV[6], ARGV[6], ARGV[6], ARGV[7] }
for _, ms in ipairs(lists(1)) do
  kept[#kept + 1] = ms[1]
end

local function settle(books)
  local rows = try('HGETALL', books) or {}
  local gone, sums, until_ = {}, {}, tonumber(settled)
  for i = 1, #rows, 2 do
    local of, begun = string.match(rows[i], '^([eskda]%d+:%d:)(%d+)$')
    local units = tonumber(rows[i + 1])
    if of and units and tonumber(begun) < until_ then
      gone[#gone + 1] = rows[i]
      sums[of] = (sums[of] or 0) + units
    end
  end
  if #rows > 0 then
    redis.call('HSET', books, 'settled', settled)
  end
  for of, units in pairs(sums) do
    redis.pcall('HINCRBY', books, of .. '+', string.format('%.0f', units))
  end
  for i = 1, #gone, 1000 do
    redis.call('HDEL', books, unpack(gone, i, math.min(i + 999, #gone)))
  end
end
if tonumber(settled) > 0 then
  for i = 6, 5 + tonumber(ARGV[8]) do
    settle(KEYS[i])
  end
end
if sample ~= '' then
  redis.pcall('ZADD', COURSE, second, sample)
end
for i, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, kept[i])
end
return 1
