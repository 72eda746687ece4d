-- Keeps the job: 1 if the worker waits for a slow client and wants to hear of it.
-- 'kept' with the number of chunks that the client has read, 'told', 'left' or 'lost'
keep()
if left or call('EXISTS', 'replies:' .. answers) == 0 then return { 'left' } end
if ARGV[4] == '1' then call('HSET', job, 'blocked', 1) end
if is_told then return { 'told', read } end
return { 'kept', read }
