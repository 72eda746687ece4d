-- Puts a job back at the head of its line: header for the waiting side, 1 if the next delivery counts as another attempt,
-- chunks that were sent until now.
call('HSET', job, 'sent', ARGV[6], 'had', 1)
if ARGV[5] == '1' then call('HINCRBY', job, 'attempt', 1) end
-- What the next worker sends is another run of the same answer; without this the waiting side would not believe it.
if mark then reply(answers, ARGV[4], '') end
call('HDEL', job, 'owner', 'blocked')
release(tenant, id, weight)
wait_in_line(tenant, id, weight, 'LPUSH')
dispatch()
return { 'done' }
