-- Keeps the place of a call that still runs. A lease that has ended, or was lost with Redis's memory, begins anew: the call runs.
--
-- KEYS[1]  a sorted set: the leases of the calls that run, each with the moment (ms) at which it ends by itself
-- ARGV     the moment (ms), empty for this server's clock; the lease; how long (ms) it lasts from now on

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
