-- Sends the end and frees the slot: header, body, milliseconds that the answers' stream still has to live if its process was heard of
-- lately. 'sent', 'left' or 'lost'. A process that is silent may be dead: it gets the end, and its worker settles all the same.
local is_sent = not left and reply(answers, ARGV[4], ARGV[5]) and call('PTTL', 'replies:' .. answers) >= tonumber(ARGV[6])
local answer = { is_sent and 'sent' or 'left' }
release(tenant, id, weight)
forget(id)
if call('EXISTS', 'waiting') == 0 then return answer end
