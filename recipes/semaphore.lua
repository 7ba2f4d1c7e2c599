-- semaphore.lua -- so many at a time, each with a weight, first come first served.
--
-- Tree      <path>                    the limit
--           <path>/holders/<call id>  ephemeral; its weight; its czxid is the token
--           <path>/queue/0000000042   ephemeral; a waiting call's place, the lowest is next
--           <path>/calls/<call id>    ephemeral; the path of that call's place
-- Invariant M1  The weights of the holders add up to the limit at most, at each grant.
--           M2  Nobody is granted while an earlier place is in the queue.
--           M3  A place and its entry in calls come and go in one transaction.
-- Liveness  The first waiter waits for holders to go, each other one for the place before
--           its own. One that is heavy is not passed by those behind it, so it is served.

local semaphore <const> = {}

local HOLDERS_MAX <const> = 400 -- each grant adds them up
local EPHEMERAL <const> = { ephemeral = true, parents = true }

local function limit_of(tx, path)
  return math.tointeger(tonumber(tx:get(path) or ""))
end

-- The sum of the weights, and the number of holders.
local function used(tx, path)
  local sum, count = 0, 0
  local holder = tx:first(path .. "/holders")
  while holder do
    sum, count = sum + tonumber(tx:get(holder)), count + 1
    holder = tx:next(holder)
  end
  return sum, count
end

-- The limit is the first one's word; the others must say the same, or nothing.
local function open(tx, args)
  local limit <const> = limit_of(tx, args.path)
  if not limit and not args.limit then
    tx:fail("limit is missing: nobody has set it yet")
  end
  if not limit then tx:create(args.path, tostring(args.limit), { parents = true }) end
  if limit and args.limit and args.limit ~= limit then
    tx:fail("the limit is " .. limit .. ", not " .. args.limit, { limit = limit })
  end
  local weight <const> = args.weight or 1
  if weight > (limit or args.limit) then
    tx:fail("weight " .. weight .. " is more than the limit " .. (limit or args.limit))
  end
end

local function check_acquire(tx, args)
  tx:check(args, { path = "path", limit = "natural?", weight = "natural?",
                   try = "boolean?" })
  if args.limit and args.limit < 1 then tx:fail("limit must be 1 or more") end
  if args.weight and args.weight < 1 then tx:fail("weight must be 1 or more") end
end

local function grant(tx, args, weight)
  local holder <const> = args.path .. "/holders/" .. tx.id
  tx:create(holder, tostring(weight), EPHEMERAL)
  return { path = holder, token = tx.zxid }
end

--- Take a part of what there is, waiting for it if need be.
-- @param args.path    the semaphore's directory, created on first use
-- @param args.limit   how much there is in all; only the first one must say it
-- @param args.weight  how much to take; 1 if left out
-- @param args.try     true: do not wait; the answer is nil when there is not enough
-- @return {path = string, token = integer}  what to put into a guard, and into release
function semaphore.acquire(tx, args)
  check_acquire(tx, args)
  local mine <const>, ahead <const> = tx:place(args.path)
  if not mine then open(tx, args) end -- later the limit may be another: then it waits
  local limit <const>, weight <const> = limit_of(tx, args.path), args.weight or 1
  local sum <const>, count <const> = used(tx, args.path)
  if not ahead and sum + weight <= limit and count < HOLDERS_MAX then
    if mine then tx:leave(args.path) end
    return grant(tx, args, weight)
  end
  if args.try then return nil end
  if not mine then tx:enter(args.path) end
  if ahead then return tx:wait(ahead) end
  return tx:wait(args.path .. "/holders", args.path)
end

--- The call timed out or was withdrawn before it was granted: leave the queue.
function semaphore.cancel(tx, args)
  tx:leave(args.path)
end

--- Give a part back. Giving it back twice is no error.
-- @param args.path   as acquire answered it
-- @param args.token  as acquire answered it
-- @return {released = boolean}  false: it was not held under this token (any more)
function semaphore.release(tx, args)
  tx:check(args, { path = "path", token = "integer" })
  local stat <const> = tx:stat(args.path)
  local held <const> = stat and stat.czxid == args.token and stat.ephemeralOwner ~= 0
  if held then tx:delete(args.path) end
  return { released = held or false }
end

--- Change how much there is. Holders keep what they have, also above a lower limit.
-- @param args.path   the semaphore's directory
-- @param args.limit  how much there is from now on
-- @return {limit = integer, used = integer}
function semaphore.resize(tx, args)
  tx:check(args, { path = "path", limit = "natural" })
  if args.limit < 1 then tx:fail("limit must be 1 or more") end
  if not limit_of(tx, args.path) then tx:fail("there is no semaphore " .. args.path) end
  tx:set(args.path, tostring(args.limit))
  return { limit = args.limit, used = (used(tx, args.path)) }
end

--- How it stands.
-- @param args.path  the semaphore's directory
-- @return {limit = integer, used = integer, holders = integer, waiting = integer}, or nil
function semaphore.state(tx, args)
  tx:check(args, { path = "path" })
  local limit <const> = limit_of(tx, args.path)
  if not limit then return nil end
  local sum <const>, count <const> = used(tx, args.path)
  local queue <const> = tx:stat(args.path .. "/queue")
  return { limit = limit, used = sum, holders = count,
           waiting = queue and queue.numChildren or 0 }
end

return semaphore
