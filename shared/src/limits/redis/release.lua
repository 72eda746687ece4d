-- Gives the place of a call that has ended to the next one.
--
-- KEYS[1]  a sorted set: the leases of the calls that run
-- ARGV     the lease

return redis.call('ZREM', KEYS[1], ARGV[1])
