-- A worker takes no more: worker. Its unused tickets go with it.
call('ZREM', 'workers', ARGV[2])
call('HDEL', 'slots', ARGV[2])
call('DEL', 'total')
local unused = redis.pcall('XPENDING', base .. 'tickets', GROUP, '-', '+', 1000, ARGV[2])
if not unused.err then
  for _, ticket in ipairs(unused) do
    call('XACK', 'tickets', GROUP, ticket[1])
    call('XDEL', 'tickets', ticket[1])
  end
  redis.call('XGROUP', 'DELCONSUMER', base .. 'tickets', GROUP, ARGV[2])
end
top_up()
return 1
