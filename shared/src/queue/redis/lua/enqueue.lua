-- Takes a job in whose body is there already, and hands it out at once where a slot is free and nobody waits: id, tenant, weight, name of
-- the answers' stream, milliseconds until the job is forgotten and until its first text is late; capacity, a tenant's share, bytes of
-- large jobs: all, one tenant's; when it was submitted, by Redis' clock (0: not known). A word: 'ok', 'full', 'share', 'here' (there is such a job), 'deaf' (nobody reads the answers' stream);
-- then how many jobs wait: the tenant's, and all.
local id, tenant, weight, answers = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local job = 'job:' .. id
-- Three questions in one: what is named four times counts four.
local stream, lines = base .. 'replies:' .. answers, base .. 'waiting'
local there = run('EXISTS', stream, stream, stream, stream, base .. job, base .. job, lines)
local all, own = 0, 0
-- Where only the stream is there, nobody waits.
if there ~= 4 then
  if there % 4 >= 2 then return { is_again and 'ok' or 'here', 0, 0 } end
  local refused
  if there < 4 then
    refused = 'deaf'
  else
    all, own = call('ZCARD', 'waiting'), call('LLEN', 'line:' .. tenant)
    refused = own >= tonumber(ARGV[9]) and 'share' or all >= tonumber(ARGV[8]) and 'full'
  end
  if refused then
    forget(id)
    return { refused, own, all }
  end
end
if weight > LARGE_JOB_BYTES then
  local alls, owns = weight, weight
  local large = call('HGETALL', 'large')
  for index = 1, #large, 2 do
    alls = alls + large[index + 1]
    if string.match(large[index], '^[^:]+') == tenant then owns = owns + large[index + 1] end
  end
  local refused = owns > tonumber(ARGV[11]) and 'share' or alls > tonumber(ARGV[10]) and 'full'
  if refused then
    forget(id)
    return { refused, own, all }
  end
end

local number = call('INCR', 'number')
local token = all == 0 and call('ZCARD', 'leases') < slots() and hand_out(tenant, id, answers, ARGV[4])
-- Since it was submitted, who waits for it may have given it up: it may have been on its way for long.
local at = math.min(now(), tonumber(ARGV[12]))
call('HSET', job, 'tenant', tenant, 'weight', ARGV[4], 'answers', answers, 'number', number, 'at', at, 'late', now() + ARGV[7],
  'attempt', '1',
  unpack(token and { 'owner', token } or {}))
-- The first try may have been carried out, and the job may have ended: whether a worker had it is not known.
if is_again then call('HSET', job, 'had', '1') end
call('PEXPIRE', job, ARGV[6])
if token then return { 'ok', 0, 0 } end
