-- limiter.lua -- so many in so long, over all clients: a token bucket.
--
-- Tree      <path>  what is in the bucket and as of when: "<thousandths of a token> <ms>"
-- Invariant R1  In any time of t milliseconds at most burst + t * rate / per tokens are
--           given.
--           R2  The time is the batches' time, which never goes back.
-- A bucket that is left alone fills up to its burst. Rate and burst are the caller's: all
-- who share a bucket should say the same.

local limiter <const> = {}

local TOKEN <const> = 1000 -- a token in the parts in which it is counted
local NUMBER_MAX <const> = 1000000000 -- so that no product below is too large

local function check(tx, args)
  tx:check(args, { path = "path", rate = "natural", per = "natural?", burst = "natural?",
                   cost = "natural?" })
  for _, name in ipairs { "rate", "per", "burst", "cost" } do
    if args[name] and (args[name] < 1 or args[name] > NUMBER_MAX) then
      tx:fail(name .. " must be 1 to " .. NUMBER_MAX)
    end
  end
  local burst <const> = args.burst or args.rate
  if (args.cost or 1) > burst then
    tx:fail("cost " .. args.cost .. " is more than the bucket holds: " .. burst)
  end
  return args.per or 1000, burst, args.cost or 1
end

local function read(tx, path, burst)
  local text <const> = tx:get(path)
  if not text then return burst * TOKEN, tx:now() end
  local blank <const> = text:find(" ")
  local parts <const> = blank and math.tointeger(tonumber(text:sub(1, blank - 1)))
  local since <const> = blank and math.tointeger(tonumber(text:sub(blank + 1)))
  if not parts or not since then tx:fail(path .. " is no bucket: it holds " .. text) end
  return parts, since
end

local function write(tx, path, parts, now)
  local text <const> = parts .. " " .. now
  if tx:exists(path) then
    tx:set(path, text)
  else
    tx:create(path, text, { parents = true })
  end
end

-- What flows in, in parts of a token. After a while that fills any bucket it does not
-- matter how long it was.
local function inflow(ms, rate, per, burst)
  if ms // per >= burst // rate + 1 then return burst * TOKEN end
  return ms * rate * TOKEN // per
end

--- Take tokens, if there are enough.
-- @param args.path   the bucket's node, created full on first use
-- @param args.rate   so many tokens flow in ...
-- @param args.per    ... in so many milliseconds; 1000 if left out
-- @param args.burst  so many it holds; as many as `rate` if left out
-- @param args.cost   so many are wanted; 1 if left out
-- @return {allowed = boolean, left = integer, wait_ms = integer}  not allowed: nothing was
--         taken, and there will be enough in wait_ms if nobody else takes any
function limiter.take(tx, args)
  local per <const>, burst <const>, cost <const> = check(tx, args)
  local parts, since <const> = read(tx, args.path, burst)
  local now <const> = tx:now()
  parts = math.min(burst * TOKEN, parts + inflow(now - since, args.rate, per, burst))

  local missing <const> = cost * TOKEN - parts
  if missing > 0 then
    local flow <const> = args.rate * TOKEN
    local wait_ms <const> = (missing * per + flow - 1) // flow
    return { allowed = false, left = parts // TOKEN, wait_ms = wait_ms }
  end
  write(tx, args.path, parts - cost * TOKEN, now)
  return { allowed = true, left = (parts - cost * TOKEN) // TOKEN, wait_ms = 0 }
end

return limiter
