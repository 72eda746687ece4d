-- Jobs that Redis should have and has not, because it came back without its last moments: name of the answers' stream, then for each
-- job the header of a mark and the id. An end that was sent stands before the mark. How many are missing.
local missing = 0
for index = 3, #ARGV, 2 do
  if call('EXISTS', 'job:' .. ARGV[index + 1]) == 0 then
    missing = missing + 1
    reply(ARGV[2], ARGV[index], '')
  end
end
return missing
