-- A worker takes no more: worker. A ticket that it has not used is cleared up by the tick.
call('ZREM', 'workers', ARGV[2])
call('HDEL', 'slots', ARGV[2])
call('DEL', 'total')
-- There may be no group yet.
redis.pcall('XGROUP', 'DELCONSUMER', base .. 'tickets', GROUP, ARGV[2])
top_up()
return 1
