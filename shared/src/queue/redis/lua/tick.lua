-- Each process says every second that it lives, and one of them clears up behind those that do not: worker ('' for a process that
-- takes nothing), slots, name of the answers' stream, milliseconds until it is forgotten, header for those whose worker died,
-- milliseconds of a lease, milliseconds until a worker must have accepted a job, milliseconds between two rounds of clearing up.
-- The time.
local worker = ARGV[2]
call('PEXPIRE', 'replies:' .. ARGV[4], ARGV[5])
if worker ~= '' then
  if call('ZADD', 'workers', now(), worker) == 1 then call('DEL', 'total') end
  call('HSET', 'slots', worker, ARGV[3])
end
if not call('SET', 'cleared', 1, 'NX', 'PX', ARGV[9]) then
  dispatch()
  return now()
end

-- Jobs that were handed out and that nobody has accepted: their reader died, or it never heard of them. No worker had them, so this is
-- no attempt. The newest first, each to the head of its line, so that they are in their order again.
local unaccepted = call('XRANGE', 'jobs', '-', now() - ARGV[8], 'COUNT', 100)
for index = #unaccepted, 1, -1 do
  local token, id = unaccepted[index][1], unaccepted[index][2][2]
  local job = 'job:' .. id
  local known = call('HMGET', job, 'owner', 'tenant', 'weight')
  call('XDEL', 'jobs', token)
  if known[1] == token then
    call('HDEL', job, 'owner')
    release(known[2], id, tonumber(known[3]))
    wait_in_line(known[2], id, tonumber(known[3]), 'LPUSH')
  end
end

-- Leases that nobody kept. Where nothing of an answer was sent, another worker may still give one.
for _, leased in ipairs(call('ZRANGEBYSCORE', 'leases', '-inf', now() - ARGV[7], 'LIMIT', 0, 100)) do
  local tenant, id = string.match(leased, '^([^:]+):(.*)$')
  local job = 'job:' .. id
  local known = call('HMGET', job, 'mark', 'late', 'reclaims', 'attempt', 'weight', 'answers', 'owner')
  release(tenant, id, tonumber(known[5]))
  if known[4] then
    local reclaims = tonumber(known[3] or '0')
    if known[7] and take_back(known[7]) then
      -- There are more of them than were looked at above.
      call('HDEL', job, 'owner')
      wait_in_line(tenant, id, tonumber(known[5]), 'LPUSH')
    elseif not known[1] and now() < tonumber(known[2]) and reclaims < 2 then
      call('HDEL', job, 'owner', 'blocked')
      call('HSET', job, 'attempt', known[4] + 1, 'reclaims', reclaims + 1)
      wait_in_line(tenant, id, tonumber(known[5]), 'LPUSH')
    else
      local reason = 'its worker died and its first text was late'
      if known[1] then
        reason = 'its worker died after a part of the answer'
      elseif reclaims >= 2 then
        reason = 'its workers died three times'
      end
      reply(known[6], id .. ARGV[6], '')
      dead_letter(tenant, id, known[4], reason)
      forget(id)
    end
  end
end

-- Jobs that were forgotten while they waited.
for _, oldest in ipairs(call('ZRANGE', 'waiting', 0, 99)) do
  local tenant, id = string.match(oldest, '^([^:]+):(.*)$')
  if call('EXISTS', 'job:' .. id) == 0 then
    call('LREM', 'line:' .. tenant, 1, id)
    waits_no_more(tenant, id, math.huge)
  end
end

-- Large jobs whose end did not say so: a process of an older version ended them. Where they are many, each round finds some of them.
for _, large in ipairs(call('HRANDFIELD', 'large', 100)) do
  local id = string.match(large, '^[^:]+:(.*)$')
  if call('EXISTS', 'job:' .. id) == 0 then call('HDEL', 'large', large) end
end

-- Workers that are long gone.
for _, gone in ipairs(call('ZRANGEBYSCORE', 'workers', '-inf', now() - 6 * WORKER_SILENCE_MS)) do
  call('ZREM', 'workers', gone)
  call('HDEL', 'slots', gone)
  -- There may be no group yet.
  redis.pcall('XGROUP', 'DELCONSUMER', base .. 'jobs', GROUP, gone)
end
call('XTRIM', 'dead', 'MINID', '=', now() - DEAD_LETTERS_MS)
dispatch()
return now()
