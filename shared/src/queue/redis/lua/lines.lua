-- The lines of the tenants, and who may go next.

-- Jobs that one script hands out; what is left goes with the next.
local AT_ONCE = 256

-- The tenant's next turn comes after those of all others that wait.
local function to_the_back(tenant)
  local last = call('ZRANGE', 'turns', -1, -1, 'WITHSCORES')
  call('ZADD', 'turns', (last[2] or 0) + 1, tenant)
end

local function wait_in_line(tenant, id, weight, command)
  if call(command, 'line:' .. tenant, id) == 1 then to_the_back(tenant) end
  local member = tenant .. ':' .. id
  call('ZADD', 'waiting', now(), member)
  if weight > LARGE_JOB_BYTES then call('HSET', 'large', member, weight) end
end

-- Forgets that a job waits; it is out of its line already. Whether others of the tenant are still in it.
local function waits_no_more(tenant, id, weight)
  local member = tenant .. ':' .. id
  call('ZREM', 'waiting', member)
  if weight > LARGE_JOB_BYTES then call('HDEL', 'large', member) end
  if call('EXISTS', 'line:' .. tenant) == 1 then return true end
  call('ZREM', 'turns', tenant)
  return false
end

-- Whose job may start now, and whether no other tenant waits: of the tenants below their half of the slots, the one that has waited
-- longest for a turn; a tenant that waits alone need not ask. While a slot is free at most two can have their half, so few have to be
-- looked at.
local function next_tenant(total)
  local turns = call('ZRANGE', 'turns', 0, 3)
  if #turns == 1 then return turns[1], true end
  local half = math.max(1, math.floor(total / 2))
  for _, tenant in ipairs(turns) do
    if call('SCARD', 'running:' .. tenant) < half then return tenant, false end
  end
  return nil
end

-- Hands out jobs while there are free slots, one tenant in turn.
local function dispatch()
  if call('ZCARD', 'waiting') == 0 then return end
  local total = slots()
  local free = total - call('ZCARD', 'leases')
  for _ = 1, AT_ONCE do
    if free <= 0 then return end
    local tenant, is_alone = next_tenant(total)
    if not tenant then return end
    local id = call('LPOP', 'line:' .. tenant)
    if not id then
      call('ZREM', 'turns', tenant)
    else
      local job = 'job:' .. id
      local known = call('HMGET', job, 'answers', 'weight')
      -- One that was forgotten may have been large.
      if waits_no_more(tenant, id, tonumber(known[2]) or math.huge) and not is_alone then to_the_back(tenant) end
      if known[1] then
        call('HSET', job, 'owner', hand_out(tenant, id, known[1], known[2]))
        free = free - 1
      end
    end
  end
end
