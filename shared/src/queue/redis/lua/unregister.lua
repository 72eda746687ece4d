-- A worker takes no more: worker. What was handed out and nobody accepts is found by the tick.
call('ZREM', 'workers', ARGV[2])
call('HDEL', 'slots', ARGV[2])
call('DEL', 'total')
-- There may be no group yet.
redis.pcall('XGROUP', 'DELCONSUMER', base .. 'jobs', GROUP, ARGV[2])
dispatch()
return 1
