-- Comes before what only the owner may do: id, token. A worker that lost its job changes nothing any more.
local id, token = ARGV[2], ARGV[3]
local job = 'job:' .. id
local known = call('HMGET', job, 'owner', 'tenant', 'answers', 'told', 'left', 'read', 'attempt', 'weight', 'mark')
-- Sent again, it may be this very step that has ended the job.
if known[1] ~= token then return { is_again and not known[2] and 'unsure' or 'lost' } end
local tenant, answers, is_told, left, read = known[2], known[3], known[4], known[5], known[6] or '0'
local attempt, weight, mark = known[7], tonumber(known[8]), known[9]

local function keep()
  call('ZADD', 'leases', 'XX', now(), tenant .. ':' .. id)
end
