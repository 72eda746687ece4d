-- The client has read so many chunks: id, number. Wakes the worker if it waits for that.
local job = 'job:' .. ARGV[2]
local known = call('HMGET', job, 'tenant', 'owner', 'blocked', 'read')
if not known[1] or tonumber(known[4] or '0') >= tonumber(ARGV[3]) then return 0 end
call('HSET', job, 'read', ARGV[3])
if known[3] and known[2] then
  call('HDEL', job, 'blocked')
  hint('room', ARGV[2])
end
return 1
