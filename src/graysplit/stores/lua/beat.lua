-- Write a process's heartbeat, and drop those that have been silent too long.
--
-- KEYS  1 fleet:seen      zset: boot id -> server time in ms of its last heartbeat
--       2 fleet:about     hash: boot id -> JSON: host, pid, library, declared splits
--       3 fleet:receipts  hash: boot id -> JSON: what it does now
--       4 fleet:contents  hash: asked -> the request to tell what is held
--       5 fleet:highest   hash: revision -> the highest that any process has followed: none comes again
-- ARGV  1 boot id  2 receipt  3 about; either '' to leave it as it is  4 silence in ms after which a process is dropped
--       5 silence in ms up to which a process is live  6 the highest revision it has followed
-- Gives {server time in ms, '1' if its about and receipt are known, how many processes are counted (0: its user may not
--        know), the request or ''}.

local boot, receipt, about, forget, live = unpack(ARGV, 1, 5)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local silent = redis.call('ZRANGE', KEYS[1], '-inf', string.format('(%.0f', now - tonumber(forget)), 'BYSCORE',
  'LIMIT', 0, 100)

-- ZREM comes first: it is allowed when the server is out of memory, and after it everything else is.
redis.call('ZREM', KEYS[1], '')
for _, gone in ipairs(silent) do
  redis.call('ZREM', KEYS[1], gone)
  redis.call('HDEL', KEYS[2], gone)
  redis.call('HDEL', KEYS[3], gone)
end
-- The clock was set back: a sighting from the future says nothing. Such a process is silent as of now, and dropped in
-- time; one that lives is seen anew with its next heartbeat.
local future = redis.call('ZRANGE', KEYS[1], string.format('(%.0f', now), '+inf', 'BYSCORE', 'LIMIT', 0, 100)
for _, early in ipairs(future) do
  redis.call('ZADD', KEYS[1], now - tonumber(live) - 1, early)
end
redis.call('ZADD', KEYS[1], now, boot)
if receipt ~= '' then
  redis.call('HSET', KEYS[3], boot, receipt)
end
if about ~= '' then
  redis.call('HSET', KEYS[2], boot, about)
end
local highest = redis.pcall('HGET', KEYS[5], 'revision')
if tonumber(ARGV[6]) > (type(highest) == 'string' and tonumber(highest) or 0) then
  redis.pcall('HSET', KEYS[5], 'revision', ARGV[6])
end
local counted = redis.pcall('HLEN', KEYS[2])
local asked = redis.pcall('HGET', KEYS[4], 'asked')
local known = redis.call('HEXISTS', KEYS[2], boot) == 1 and redis.call('HEXISTS', KEYS[3], boot) == 1
return { now, known and '1' or '0', type(counted) == 'number' and counted or 0, type(asked) == 'string' and asked or '' }
