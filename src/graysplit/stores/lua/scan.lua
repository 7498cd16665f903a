-- Read a piece of a hash as one text: a client takes one apart sooner than it takes thousands. Nothing is written.
--
-- ARGV  1 key    hash; only read, hence not declared (the caller may not write it)
--       2 cursor, as HSCAN takes it  3 about how many fields
-- Gives {where to go on, how many texts there are, the texts in the order of HSCAN, parted by zero bytes}. A text that
-- holds a zero byte makes more parts than texts: who asks sees it, and reads the piece in another way.

local found = redis.call('HSCAN', ARGV[1], ARGV[2], 'COUNT', ARGV[3])
return { found[1], #found[2], table.concat(found[2], '\0') }
