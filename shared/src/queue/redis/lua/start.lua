-- Uses tickets: starts as many jobs as there are tokens, one tenant in turn, and gives up the tickets that are left.
-- Worker, milliseconds of a lease, most bytes, number of tokens, the tokens (each makes one start unlike all others), the tickets.
-- For each started job: id, token, body, attempt, whether its worker should stop at once ('', 'told' or 'left'), chunks sent before
local lease_ms, most_bytes, count = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local started = {}

local is_read = {}
local function told(told, left, answers)
  if is_read[answers] == nil then
    is_read[answers] = call('EXISTS', 'replies:' .. answers) == 1
  end
  if left or not is_read[answers] then return 'left' end
  return told and 'told' or ''
end

if is_again then
  -- The answer of the first try did not arrive: what it started belongs to these tokens.
  local tokens = {}
  for index = 1, count do tokens[ARGV[5 + index]] = true end
  for _, leased in ipairs(call('ZRANGE', 'leases', 0, -1)) do
    local id = string.match(leased, ':(.*)$')
    local job = call('HMGET', 'job:' .. id, 'owner', 'body', 'attempt', 'told', 'left', 'answers', 'sent')
    if job[1] and tokens[job[1]] then
      started[#started + 1] = { id, job[1], job[2], job[3], told(job[4], job[5], job[6]), job[7] or '0' }
      count = 0
    end
  end
end

local total, running = slots(), call('ZCARD', 'leases')

-- The next one in turn, out of its line. A job that was forgotten in the meantime is passed over.
local function pop()
  while true do
    local tenant = next_tenant(total, running)
    if not tenant then return nil end
    local id = call('LPOP', 'line:' .. tenant)
    if not id then
      call('ZREM', 'turns', tenant)
    else
      local job = call('HMGET', 'job:' .. id, 'body', 'attempt', 'told', 'left', 'answers', 'weight', 'sent')
      -- One that was forgotten may have been large.
      if waits_no_more(tenant, id, tonumber(job[6]) or math.huge) then to_the_back(tenant) end
      if job[1] then return tenant, id, job end
    end
  end
end

-- Each ticket counts once, for whoever gives it up.
local tickets = {}
for index = 6 + tonumber(ARGV[5]), #ARGV do tickets[#tickets + 1] = ARGV[index] end
count = math.min(count, call('XDEL', 'tickets', unpack(tickets)))

local bytes = 0
for index = 1, count do
  if bytes >= most_bytes then break end
  local tenant, id, job = pop()
  if not tenant then break end
  local token = ARGV[5 + index]
  bytes = bytes + tonumber(job[6])
  running = running + 1
  call('HSET', 'job:' .. id, 'owner', token)
  call('ZADD', 'leases', now + lease_ms, member(tenant, id))
  call('ZADD', 'leases:' .. tenant, now + lease_ms, member(tenant, id))
  started[#started + 1] = { id, token, job[1], job[2], told(job[3], job[4], job[5]), job[7] or '0' }
end
top_up()
return started
