-- Sends a part of the answer, and marks that there is one: header, body.
-- 'sent' with the number of chunks that the client has read, 'left', or 'lost'
if left or not reply(answers, ARGV[4], ARGV[5]) then return { 'left' } end
if not mark then call('HSET', job, 'mark', 1) end
keep()
return { 'sent', read }
