-- The snapshot of a topic: a string or, where a topic has several states, a hash of them by field. A ttl of 0: the event
-- replaces the last one, and is not kept itself. Nothing in here can keep an event from being published.
local function snapshot(key, field, message, ttl, n, now)
  if not field then
    if ttl > 0 then
      redis.pcall('SET', key, message, 'EX', ttl)
    else
      redis.pcall('EXPIRE', key, 0)
    end
    return
  end
  if ttl <= 0 then
    redis.pcall('HDEL', key, field)
    return
  end
  -- Fields do not expire by themselves: now and then those go that the lane's events have outlived.
  if n % 256 == 0 then
    local all = redis.pcall('HGETALL', key)
    for i = 1, #all, 2 do
      local at = tonumber(string.match(all[i + 1], '^#%d+ (%d+)'))
      if at and at < now - ttl * 1000 then redis.pcall('HDEL', key, all[i]) end
    end
  end
  local size = redis.pcall('HLEN', key)
  if type(size) == 'number' and size >= 1000 and redis.pcall('HEXISTS', key, field) ~= 1 then
    return
  end
  redis.pcall('HSET', key, field, message)
  local left = redis.pcall('TTL', key)
  if type(left) ~= 'number' or left < ttl then
    redis.pcall('EXPIRE', key, ttl)
  end
end

local function publish(keys, args)
  local lane, json = args[1] or '', args[2]
  local tag = ':{' .. lane .. '}'
  -- The prefix of the lane, without its last colon, is that of its keys: rte where redis.prefix has its default.
  local prefix = string.match(lane, '^(.*):org:') or 'rte'
  -- Scripts do not roll back: all is checked before the first write.
  if keys[1] ~= prefix .. ':j' .. tag or keys[2] ~= prefix .. ':n' .. tag
    or (keys[3] and string.sub(keys[3], 1, #prefix + 3 + #tag) ~= prefix .. ':s' .. tag .. ':') then
    return redis.error_reply('RTEKEY the keys do not belong to the lane')
  end
  local command = args[5] or 'PUBLISH'
  if command ~= 'PUBLISH' and command ~= 'SPUBLISH' then
    return redis.error_reply('RTEARG the fifth argument is PUBLISH or SPUBLISH')
  end
  local most = tonumber(args[3])
  if not json or not most or not (most >= 0 and most <= 1e9) then
    return redis.error_reply('RTEARG want a lane, an event, and how many entries the journal keeps')
  end
  local ttl = tonumber(args[4]) or 0
  ttl = ttl >= 1 and math.floor(math.min(ttl, 86400)) or 0
  local n = redis.call('INCR', keys[2])
  local id = redis.call('XADD', keys[1], 'MAXLEN', '~', math.floor(most), '*', 'n', n, 'd', json)
  redis.call('EXPIRE', keys[1], 600)
  local message = '#' .. n .. ' ' .. id .. '\n' .. json
  if keys[3] then
    snapshot(keys[3], args[6], message, ttl, n, tonumber(string.match(id, '^%d+')))
  end
  redis.call(command, lane, message)
  return id
end
