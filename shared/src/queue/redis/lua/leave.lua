-- Nobody waits for the answer any more: id, name of the answers' stream, header of a mark in it ('' for none).
-- 'left', or 'ended': an end, if there was one, stands before the mark
local id = ARGV[2]
local job = 'job:' .. id
local known = call('HMGET', job, 'tenant', 'owner')
if not known[1] then
  if ARGV[4] ~= '' then reply(ARGV[3], ARGV[4], '') end
  return 'ended'
end
call('HSET', job, 'left', 1)
if known[2] then hint('left', id) end
return 'left'
