-- Sends the end and frees the slot: header, body. 'sent', 'left' or 'lost'
local is_sent = not left and reply(answers, ARGV[4], ARGV[5])
release(tenant, id)
forget(id)
dispatch()
if is_sent then return { 'sent' } end
return { 'left' }
