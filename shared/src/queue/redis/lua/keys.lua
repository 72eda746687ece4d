-- What every script begins with. The time is Redis' own, so that no two machines have to agree about it.
--
-- job:<id>         what is known of a job, until it ends; with `owner`, the token of whoever may do something with it
-- body:<id>        the job itself. No script but a rare one touches it: Lua would read every byte of it
-- line:<tenant>    the ids of its jobs that wait, the next one first
-- turns            the tenants with a line, in the order of their turns
-- waiting          tenant:id -> since when it waits
-- large            tenant:id -> bytes, of large jobs, until they end
-- leases           tenant:id -> when it was handed out, or its worker was last heard of; running:<tenant>: the ids of one tenant
-- jobs             a stream with one entry for each job that was handed out and that no worker has accepted yet. The entry's id is the
--                  job's token; a worker accepts a job by deleting the entry
-- number           of the newest job. It only grows, so a job with a larger one than was read came after that
-- workers, slots   worker -> when it was last heard of; how many jobs it runs at a time; total: the slots of those that are alive
-- replies:<name>   the answers for one API process
-- dead             jobs that were given up, without their bodies

local base = KEYS[1]
local is_again = ARGV[1] == '1'

local GROUP = 'workers'
local WORKER_SILENCE_MS = 10000

local run = redis.call
local function call(command, key, ...)
  return run(command, base .. key, ...)
end

local function forget(id)
  run('DEL', base .. 'job:' .. id, base .. 'body:' .. id)
end

local asked
local function now()
  if not asked then
    local time = run('TIME')
    asked = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return asked
end
