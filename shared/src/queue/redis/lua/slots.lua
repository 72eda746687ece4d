-- The slots of the workers: who has one, and how it gets one.

local LARGE_JOB_BYTES = 65536

-- Slots of all workers that are alive; counted once a second and when one comes or goes.
local function slots()
  local known = call('GET', 'total')
  if known then return tonumber(known) end
  local total = 0
  local live = call('ZRANGEBYSCORE', 'workers', now() - WORKER_SILENCE_MS, '+inf', 'LIMIT', 0, 1000)
  if #live > 0 then
    for _, count in ipairs(call('HMGET', 'slots', unpack(live))) do
      total = total + (tonumber(count) or 0)
    end
  end
  call('SET', 'total', total, 'PX', 1000)
  return total
end

-- Takes a slot for a job and gives it to the workers. Its token, which the job has to note as its owner.
local function hand_out(tenant, id, answers, weight)
  call('ZADD', 'leases', now(), tenant .. ':' .. id)
  call('SADD', 'running:' .. tenant, id)
  if tonumber(weight) > LARGE_JOB_BYTES then call('HSET', 'large', tenant .. ':' .. id, weight) end
  return call('XADD', 'jobs', '*', 'id', id, 'answers', answers, 'weight', weight)
end

-- One whose weight is not known any more may have been large.
local function release(tenant, id, weight)
  local member = tenant .. ':' .. id
  call('ZREM', 'leases', member)
  call('SREM', 'running:' .. tenant, id)
  if (weight or math.huge) > LARGE_JOB_BYTES then call('HDEL', 'large', member) end
end

-- Takes back what was handed out. Whether that was possible: then no worker has it, and none will.
local function take_back(token)
  -- A token with a slash is a worker's own (claim.lua), and no entry's.
  return not string.find(token, '/', 1, true) and call('XDEL', 'jobs', token) == 1
end
