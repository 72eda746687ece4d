-- Takes out a job that no worker has, or tells the worker that has it: id, header for the waiting side, 1 if workers are to be left alone.
-- 'removed', 'told' or 'none'
local id = ARGV[2]
local job = 'job:' .. id
local known = call('HMGET', job, 'tenant', 'owner', 'answers', 'weight')
local tenant, owner, answers = known[1], known[2], known[3]
if not tenant then
  -- There may be a body whose job never came.
  forget(id)
  return 'none'
end
if not owner then
  call('LREM', 'line:' .. tenant, 1, id)
  waits_no_more(tenant, id, tonumber(known[4]))
elseif take_back(owner) then
  release(tenant, id, tonumber(known[4]))
else
  if ARGV[4] == '1' then return 'none' end
  call('HSET', job, 'told', 1)
  hint('told', id)
  return 'told'
end
forget(id)
reply(answers, ARGV[3], '')
dispatch()
return 'removed'
