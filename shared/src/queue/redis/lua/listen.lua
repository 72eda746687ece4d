-- Makes the stream of a process' answers: its name, the name of the one before ('' for none), milliseconds until it is forgotten.
-- An empty stream exists.
if ARGV[3] ~= '' then call('DEL', 'replies:' .. ARGV[3]) end
if call('EXISTS', 'replies:' .. ARGV[2]) == 0 then
  call('XDEL', 'replies:' .. ARGV[2], call('XADD', 'replies:' .. ARGV[2], '*', 'h', '', 'b', ''))
end
call('PEXPIRE', 'replies:' .. ARGV[2], ARGV[4])
return 1
