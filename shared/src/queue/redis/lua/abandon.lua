-- Ends a job without an end: header for the waiting side, reason; '' if it needs no dead letter.
reply(answers, ARGV[4], '')
if ARGV[5] ~= '' then dead_letter(tenant, id, attempt, ARGV[5]) end
release(tenant, id, weight)
forget(id)
dispatch()
return { 'done' }
