-- Follows enqueue.lua where the job could not be handed out at once.
wait_in_line(tenant, id, weight, 'RPUSH')
dispatch()
return { 'ok', own + 1, all + 1 }
