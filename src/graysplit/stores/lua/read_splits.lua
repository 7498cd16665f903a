-- Read what concerns a few splits, at one moment. Nothing is written.
--
-- ARGV  1 weights  2 stops  3 splits  4 meta  5 plans: hashes; only read, hence not declared (the caller may not write
--       them)
--       6 how many versions a definition may name: of one with more none is read
--       then three lists, each after its length, of (number of a key, text): fields that stand for every split; what
--       stands before the name of a split; what stands before the address of each of its versions
--       then the splits
-- Gives {ms, {texts of the first list}, and for each split {names of its versions} and {texts of the second list, then
--       for each version those of the third}}; a field that is absent or cannot be read is null.

local HASHES = { unpack(ARGV, 1, 5) }
local most, at = tonumber(ARGV[6]), 7
for _, key in ipairs(HASHES) do
  local closed = barred(key)
  if closed then
    return closed
  end
end

local function prefixes()
  local list, count = {}, tonumber(ARGV[at])
  for i = 1, count do
    list[i] = { key = tonumber(ARGV[at + 2 * i - 1]), text = ARGV[at + 2 * i] }
  end
  at = at + 2 * count + 1
  return list
end
local for_all, of_split, of_version = prefixes(), prefixes(), prefixes()

local function read(list, name, into)
  for _, one in ipairs(list) do
    local longest = one.key <= 2 and LONGEST or LONGEST_RECORD
    into[#into + 1] = value_of(HASHES[one.key], one.text .. name, longest) or false
  end
  return into
end

-- The names of the versions in a definition; none of what is no definition.
local function versions_in(text)
  local decoded, record = pcall(cjson.decode, text or '')
  local names = {}
  if not decoded or type(record) ~= 'table' or type(record.versions) ~= 'table' then
    return names
  end
  for _, version in ipairs(record.versions) do
    if type(version) == 'table' and type(version.name) == 'string' then
      names[#names + 1] = version.name
    end
  end
  return #names <= most and names or {}
end

local answer = { now_ms(), read(for_all, '', {}) }
for i = at, #ARGV do
  local names = versions_in(value_of(HASHES[3], ARGV[i], LONGEST_RECORD))
  local texts = read(of_split, ARGV[i], {})
  for _, name in ipairs(names) do
    read(of_version, ARGV[i] .. '/' .. name, texts)
  end
  answer[#answer + 1], answer[#answer + 2] = names, texts
end
return answer
