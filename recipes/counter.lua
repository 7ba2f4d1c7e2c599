-- counter.lua -- numbers that many add to at once, without reading them first.
--
-- Tree      <path>  the number, in decimal
-- Invariant N1  Every add that is answered is in the number, once.
--           N2  Within the bounds that a call gives, or it is refused and adds nothing.

local counter <const> = {}

local function read(tx, path)
  local text <const> = tx:get(path)
  if text == nil then return 0 end
  return math.tointeger(tonumber(text)) or tx:fail(path .. " holds no integer")
end

local function write(tx, path, value)
  if tx:exists(path) then
    tx:set(path, tostring(value))
  else
    tx:create(path, tostring(value), { parents = true })
  end
end

-- Sums that do not fit an integer are refused, and do not wrap around.
local function add(tx, value, by)
  local sum <const> = value + by
  if (by > 0) ~= (sum > value) and by ~= 0 then tx:fail("the sum does not fit 64 bits") end
  return sum
end

--- Add to the number.
-- @param args.path  the node of the number, created on first use
-- @param args.by    what to add, also below 0; 1 if left out
-- @param args.min   refuse if the sum would be below; the details then hold the value
-- @param args.max   refuse if the sum would be above; the same
-- @return {value = integer}  the sum
function counter.add(tx, args)
  tx:check(args, { path = "path", by = "integer?", min = "integer?", max = "integer?" })
  local value <const> = read(tx, args.path)
  local sum <const> = add(tx, value, args.by or 1)

  if args.min and sum < args.min then
    tx:fail(sum .. " is below " .. args.min, { value = value })
  end
  if args.max and sum > args.max then
    tx:fail(sum .. " is above " .. args.max, { value = value })
  end
  write(tx, args.path, sum)
  return { value = sum }
end

--- The number; 0 when nobody ever added.
-- @param args.path  the node of the number
-- @return {value = integer}
function counter.get(tx, args)
  tx:check(args, { path = "path" })
  return { value = read(tx, args.path) }
end

--- Give it a value, whatever it was.
-- @param args.path   the node of the number, created on first use
-- @param args.value  the number
-- @param args.if_is  refuse unless it is this now; the details then hold the value
-- @return {value = integer, before = integer}
function counter.set(tx, args)
  tx:check(args, { path = "path", value = "integer", if_is = "integer?" })
  local before <const> = read(tx, args.path)
  if args.if_is and args.if_is ~= before then
    tx:fail("it is " .. before .. ", not " .. args.if_is, { value = before })
  end
  write(tx, args.path, args.value)
  return { value = args.value, before = before }
end

--- Wait until the number is at least so high.
-- @param args.path      the node of the number
-- @param args.at_least  the number to wait for
-- @return {value = integer}
function counter.wait(tx, args)
  tx:check(args, { path = "path", at_least = "integer" })
  local value <const> = read(tx, args.path)
  if value >= args.at_least then return { value = value } end
  return tx:wait(args.path)
end

return counter
