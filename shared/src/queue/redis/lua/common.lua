-- What the scripts share. The time is Redis' own, so that no two machines have to agree about it.
--
-- job:<id>         what is known of a job, until it ends
-- line:<tenant>    the ids of its jobs that wait, the next one first
-- turns            the tenants with a line, in the order of their turns
-- waiting          tenant:id -> since when it waits
-- large            tenant:id -> bytes, of large jobs that wait
-- leases           tenant:id -> until when it is its worker's; leases:<tenant> the same of one tenant
-- tickets          a stream with one entry for each job that some worker may start now. A ticket names no job: who goes next is
--                  decided when it is used, so a lost ticket loses nothing
-- workers, slots   worker -> when it was last heard of; how many jobs it runs at a time; total: the slots of those that are alive
-- replies:<name>   the answers for one API process
-- dead             jobs that were given up, without their bodies

local base = KEYS[1]
local is_again = ARGV[1] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local GROUP = 'workers'
local WORKER_SILENCE_MS = 10000
local DEAD_LETTERS = 10000
local DEAD_LETTERS_MS = 7 * 24 * 3600 * 1000
local LARGE_JOB_BYTES = 65536

local function call(command, key, ...)
  return redis.call(command, base .. key, ...)
end

local function member(tenant, id)
  return tenant .. ':' .. id
end

-- Slots of all workers that are alive; counted once a second and when one comes or goes.
local function slots()
  local known = call('GET', 'total')
  if known then return tonumber(known) end
  local total = 0
  local live = call('ZRANGEBYSCORE', 'workers', now - WORKER_SILENCE_MS, '+inf', 'LIMIT', 0, 1000)
  if #live > 0 then
    for _, count in ipairs(call('HMGET', 'slots', unpack(live))) do
      total = total + (tonumber(count) or 0)
    end
  end
  call('SET', 'total', total, 'PX', 1000)
  return total
end

-- Whose job may start now: of the tenants below their half of the slots, the one that has waited longest for a turn; a tenant
-- that waits alone need not ask. While a slot is free at most two can have their half, so few have to be looked at.
local function next_tenant(total, running)
  if running >= total then return nil end
  local turns = call('ZRANGE', 'turns', 0, 3)
  if #turns == 1 then return turns[1] end
  local half = math.max(1, math.floor(total / 2))
  for _, tenant in ipairs(turns) do
    if call('ZCARD', 'leases:' .. tenant) < half then return tenant end
  end
  return nil
end

-- Gives out as many tickets as there are jobs that could start.
local function top_up()
  local waiting = call('ZCARD', 'waiting')
  if waiting == 0 then return end
  local total, running = slots(), call('ZCARD', 'leases')
  local wanted = math.min(total - running, waiting, 1000) - call('XLEN', 'tickets')
  if wanted <= 0 or not next_tenant(total, running) then return end
  for _ = 1, wanted do
    call('XADD', 'tickets', '*', 't', '')
  end
end

-- The tenant's next turn comes after those of all others that wait.
local function to_the_back(tenant)
  local last = call('ZRANGE', 'turns', -1, -1, 'WITHSCORES')
  call('ZADD', 'turns', (last[2] or 0) + 1, tenant)
end

local function wait_in_line(tenant, id, weight, command)
  if call(command, 'line:' .. tenant, id) == 1 then to_the_back(tenant) end
  call('ZADD', 'waiting', now, member(tenant, id))
  if weight > LARGE_JOB_BYTES then
    call('HSET', 'large', member(tenant, id), weight)
  end
end

-- Forgets that a job waits; it is out of its line already. Whether others of the tenant are still in it.
local function waits_no_more(tenant, id, weight)
  call('ZREM', 'waiting', member(tenant, id))
  if weight > LARGE_JOB_BYTES then
    call('HDEL', 'large', member(tenant, id))
  end
  if call('EXISTS', 'line:' .. tenant) == 1 then return true end
  call('ZREM', 'turns', tenant)
  return false
end

local function release(tenant, id)
  call('ZREM', 'leases', member(tenant, id))
  call('ZREM', 'leases:' .. tenant, member(tenant, id))
end

-- Tells the waiting side something. Nothing where it is gone.
local function reply(name, header, body)
  return name and call('XADD', 'replies:' .. name, 'NOMKSTREAM', '*', 'h', header, 'b', body)
end

local function dead_letter(tenant, id, attempt, reason)
  call('XADD', 'dead', 'MAXLEN', '=', DEAD_LETTERS, '*', 'id', id, 'tenant', tenant, 'attempt', attempt, 'reason', reason)
  call('XTRIM', 'dead', 'MINID', '=', now - DEAD_LETTERS_MS)
  call('PEXPIRE', 'dead', DEAD_LETTERS_MS)
end

-- A hint for the worker that has the job; what counts stands in the job.
local function hint(owner, word, id)
  local worker = string.match(owner, '^[^/]+')
  redis.call('PUBLISH', base .. 'hints:' .. worker, word .. ' ' .. id)
end
