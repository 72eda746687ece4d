-- Puts a job into its tenant's line: id, tenant, body, weight, name of the answers' stream, milliseconds until the job is forgotten
-- and until its first text is late; capacity, a tenant's share, bytes of large jobs: all, one tenant's.
-- 'ok', 'full', 'share', 'here' (there is such a job), 'deaf' (nobody reads the answers' stream)
local id, tenant, body, weight, answers = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local job = 'job:' .. id
if call('EXISTS', job) == 1 then
  if is_again then return 'ok' end
  return 'here'
end
if call('EXISTS', 'replies:' .. answers) == 0 then return 'deaf' end
if call('LLEN', 'line:' .. tenant) >= tonumber(ARGV[10]) then return 'share' end
if call('ZCARD', 'waiting') >= tonumber(ARGV[9]) then return 'full' end
if weight > LARGE_JOB_BYTES then
  local all, own = weight, weight
  local large = call('HGETALL', 'large')
  for index = 1, #large, 2 do
    all = all + large[index + 1]
    if string.match(large[index], '^[^:]+') == tenant then own = own + large[index + 1] end
  end
  if own > tonumber(ARGV[12]) then return 'share' end
  if all > tonumber(ARGV[11]) then return 'full' end
end
call('HSET', job, 'body', body, 'tenant', tenant, 'weight', weight, 'answers', answers, 'attempt', 1, 'late', now + ARGV[8])
call('PEXPIRE', job, ARGV[7])
wait_in_line(tenant, id, weight, 'RPUSH')
top_up()
return 'ok'
