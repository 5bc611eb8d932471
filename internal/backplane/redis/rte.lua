local function publish(keys, args)
  local lane, json = args[1], args[2]
  local tag = ':{' .. lane .. '}'
  -- Scripts do not roll back: all is checked before the first write.
  if keys[1] ~= 'rte:j' .. tag or keys[2] ~= 'rte:n' .. tag
    or (keys[3] and string.sub(keys[3], 1, 6 + #tag) ~= 'rte:s' .. tag .. ':') then
    return redis.error_reply('RTEKEY the keys do not belong to the lane')
  end
  local command = args[5] or 'PUBLISH'
  if command ~= 'PUBLISH' and command ~= 'SPUBLISH' then
    return redis.error_reply('RTEARG the fifth argument is PUBLISH or SPUBLISH')
  end
  local ttl = tonumber(args[4]) or 0
  local n = redis.call('INCR', keys[2])
  local id = redis.call('XADD', keys[1], 'MAXLEN', '~', args[3], '*', 'n', n, 'd', json)
  redis.call('EXPIRE', keys[1], 600)
  local message = '#' .. n .. ' ' .. id .. '\n' .. json
  if keys[3] and ttl > 0 then
    if args[6] then
      redis.call('HSET', keys[3], args[6], message)
      redis.call('EXPIRE', keys[3], ttl)
    else
      redis.call('SET', keys[3], message, 'EX', ttl)
    end
  end
  redis.call(command, lane, message)
  return id
end
