-- A worker accepted a job and did not hear whether that was carried out, so it takes it under a token of its own: id, the entry's token,
-- the new token, the fields that are wanted of the job. Should another worker have accepted it, that one has lost it. The fields, the body,
-- whether the answers' stream is there; nothing if somebody else has gone on with it.
local id, token, new = ARGV[2], ARGV[3], ARGV[4]
local job = 'job:' .. id
local known = call('HMGET', job, 'owner', 'mark', 'tenant', 'answers')
local owner = known[1]
if not owner or known[2] or (owner ~= token and owner ~= new) then return false end
take_back(owner)
call('HSET', job, 'owner', new, 'had', 1)
call('ZADD', 'leases', 'XX', now(), known[3] .. ':' .. id)
return { call('HMGET', job, unpack(ARGV, 5)), call('GET', 'body:' .. id), call('EXISTS', 'replies:' .. known[4]) }
