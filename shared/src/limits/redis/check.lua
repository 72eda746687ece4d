-- Asks for the right to run one call: all or nothing, and what is refused takes nothing.
--
-- KEYS[1]  a hash: what is spent of the requests and of the tokens, in parts of 1/60000, and the moment (ms) of both
-- KEYS[2]  a sorted set: the leases of the calls that run, each with the moment (ms) at which it ends by itself
-- ARGV     the moment (ms), empty for this server's clock; requests a minute; tokens a minute; calls at the same time (0: no limit);
--          the tokens of this call; its lease; how long (ms) the lease lasts at first; how long (ms) any lease lasts at most
-- Gives    whether it may run (1 or 0), then the parts spent of both rates and the calls that run, after it if it may run.
--
-- It is `Bucket` in bucket.rs. No number here is above 60000 * 2^32 < 2^53, so all of them are exact.

local PARTS = 60000

local rpm, tpm, concurrency = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local tokens, lease = tonumber(ARGV[5]), ARGV[6]
local first_ms, longest_ms = tonumber(ARGV[7]), tonumber(ARGV[8])

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local requests_spent, tokens_spent, running = 0, 0, 0
if rpm > 0 or tpm > 0 then
  local kept = redis.call('HMGET', KEYS[1], 'requests', 'tokens', 'at')
  local at = tonumber(kept[3]) or now
  if at > now then
    -- A clock that was put back refills nothing, and refilling goes on from where the clock is.
    redis.call('HSET', KEYS[1], 'at', string.format('%.0f', now))
  end
  local elapsed = math.max(0, now - at)
  requests_spent = math.max(0, (tonumber(kept[1]) or 0) - elapsed * rpm)
  tokens_spent = math.max(0, (tonumber(kept[2]) or 0) - elapsed * tpm)
end
if concurrency > 0 then
  running = redis.call('ZCOUNT', KEYS[2], '(' .. string.format('%.0f', now), '+inf')
end

local passes = (rpm == 0 or requests_spent + PARTS <= rpm * PARTS)
  and (tpm == 0 or tokens_spent + tokens * PARTS <= tpm * PARTS)
  and (concurrency == 0 or running < concurrency)
if not passes then
  return {0, requests_spent, tokens_spent, running}
end

local full_in = 1
if rpm > 0 then
  requests_spent = requests_spent + PARTS
  full_in = math.max(full_in, math.ceil(requests_spent / rpm))
end
if tpm > 0 then
  tokens_spent = tokens_spent + tokens * PARTS
  full_in = math.max(full_in, math.ceil(tokens_spent / tpm))
end
if rpm > 0 or tpm > 0 then
  redis.call('HSET', KEYS[1],
    'requests', string.format('%.0f', requests_spent),
    'tokens', string.format('%.0f', tokens_spent),
    'at', string.format('%.0f', now))
  -- An absent record is a full bucket.
  redis.call('PEXPIRE', KEYS[1], full_in)
end
if concurrency > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now))
  redis.call('ZADD', KEYS[2], string.format('%.0f', now + first_ms), lease)
  redis.call('PEXPIRE', KEYS[2], longest_ms)
  running = running + 1
end
return {1, requests_spent, tokens_spent, running}
