-- Read a hash as one text, as scan.lua reads a piece of one. Nothing is written; it stands alone, to be sent with MULTI.
--
-- ARGV  1 key    hash; only read, hence not declared (the caller may not write it)
-- Returns {how many texts there are, the texts in the order of HGETALL, parted by zero bytes}.

local found = redis.call('HGETALL', ARGV[1])
return { #found, table.concat(found, '\0') }
