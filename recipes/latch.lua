-- latch.lua -- wait until a number of things are done; once.
--
-- Tree      <path>       how many are still to be done
--           <path>/open  exists once it is none
-- Invariant A1  An open latch stays open, and nobody waits at it.
--           A2  Nobody is answered before it is open.
-- Liveness  Waiters wait for <path>/open only, so each runs twice, however often it counts.

local latch <const> = {}

local PARENTS <const> = { parents = true }

local function read(tx, path)
  local left <const> = math.tointeger(tonumber(tx:get(path) or ""))
  return left or tx:fail("there is no latch " .. path)
end

local function put(tx, path, left)
  tx:set(path, tostring(left))
  if left == 0 then tx:create(path .. "/open") end
end

--- Make a latch. The same again is no error, also when it has counted since.
-- @param args.path   its node; parents are created
-- @param args.count  how many things are to be done: 1 or more
-- @return {left = integer, open = boolean}
function latch.create(tx, args)
  tx:check(args, { path = "path", count = "natural" })
  if args.count < 1 then tx:fail("count must be 1 or more") end
  if not tx:exists(args.path) then tx:create(args.path, tostring(args.count), PARENTS) end
  local left <const> = read(tx, args.path)
  return { left = left, open = left == 0 }
end

--- Something is done.
-- @param args.path  the latch
-- @param args.by    how many things; 1 if left out. More than are left is as many as are
--         left
-- @return {left = integer, open = boolean}
function latch.count_down(tx, args)
  tx:check(args, { path = "path", by = "natural?" })
  local before <const> = read(tx, args.path)
  local left <const> = math.max(0, before - (args.by or 1))
  if left ~= before then put(tx, args.path, left) end
  return { left = left, open = left == 0 }
end

--- Wait until all is done.
-- @param args.path  the latch
-- @return {left = 0, open = true}
function latch.wait(tx, args)
  tx:check(args, { path = "path" })
  if read(tx, args.path) > 0 then return tx:wait(args.path .. "/open") end
  return { left = 0, open = true }
end

--- How it stands.
-- @param args.path  the latch
-- @return {left = integer, open = boolean}
function latch.get(tx, args)
  tx:check(args, { path = "path" })
  local left <const> = read(tx, args.path)
  return { left = left, open = left == 0 }
end

return latch
