-- Sends the end and frees the slot: header, body. 'sent', 'left' or 'lost'
local is_sent = not left and reply(answers, ARGV[4], ARGV[5])
local answer = { is_sent and 'sent' or 'left' }
release(tenant, id)
forget(id)
if call('EXISTS', 'waiting') == 0 then return answer end
