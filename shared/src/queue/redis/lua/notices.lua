-- What others are told.

local DEAD_LETTERS = 10000
local DEAD_LETTERS_MS = 7 * 24 * 3600 * 1000

-- Tells the waiting side something. Nothing where it is gone.
local function reply(name, header, body)
  return name and call('XADD', 'replies:' .. name, 'NOMKSTREAM', '*', 'h', header, 'b', body)
end

-- A hint for the worker that has the job, whichever it is; what counts stands in the job.
local function hint(word, id)
  run('PUBLISH', base .. 'hints', word .. ' ' .. id)
end

local function dead_letter(tenant, id, attempt, reason)
  call('XADD', 'dead', 'MAXLEN', '=', DEAD_LETTERS, '*', 'id', id, 'tenant', tenant, 'attempt', attempt, 'reason', reason)
  call('XTRIM', 'dead', 'MINID', '=', now() - DEAD_LETTERS_MS)
  call('PEXPIRE', 'dead', DEAD_LETTERS_MS)
end
