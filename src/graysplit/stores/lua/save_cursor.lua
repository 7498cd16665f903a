-- Note how far a hook has been told, and whose turn it is, if nobody was faster.
--
-- KEYS  1 fleet:notices  hash: hook -> JSON: position in the log, whose turn it is (a random boot id) and until when
-- ARGV  1 hook  2 record as read, '' where there was none  3 record
-- Gives 1, or 0 where the record is no longer as read: somebody else has taken the turn.

local hook, read_before, record = unpack(ARGV, 1, 3)

if (redis.call('HGET', KEYS[1], hook) or '') ~= read_before then
  return 0
end
redis.call('HSET', KEYS[1], hook, record)
return 1
