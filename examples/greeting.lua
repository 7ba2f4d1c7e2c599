-- greeting.lua -- a recipe of one's own: greets by name, and counts how often.
--
--     tidelock recipe put greeting.lua
--     tidelock call greeting.say '{"name": "Ann"}'           hello Ann, for the 1st time
--     tidelock call greeting.wait '{"name": "Bob"}'          waits until Bob was greeted
--
-- A recipe is a table of functions. Each call of one is a transaction that runs inside the
-- leader: it sees the tree as of now, and all its writes happen or none. A new text in the
-- node is the new recipe, from the next call on.
--
-- Tree  /greetings/<name>  how often that one was greeted

local greeting <const> = {}

local function node_of(tx, args)
  if type(args) ~= "table" or type(args.name) ~= "string" or args.name:find "/" then
    tx:fail("name is missing: who is to be greeted") -- the caller sees code "refused"
  end
  return "/greetings/" .. args.name
end

local function ordinal(n)
  local teens <const> = n % 100 // 10 == 1
  return n .. (not teens and ({ "st", "nd", "rd" })[n % 10] or "th")
end

--- Greet, and count it. Nobody can come between the read and the write.
-- @param args.name  whom
-- @return the greeting
function greeting.say(tx, args)
  local node <const> = node_of(tx, args)
  local times <const> = (tonumber(tx:get(node) or "") or 0) + 1
  if tx:exists(node) then
    tx:set(node, tostring(times))
  else
    tx:create(node, tostring(times), { parents = true })
  end
  return ("hello %s, for the %s time"):format(args.name, ordinal(times))
end

--- Wait until somebody was greeted. No server thread waits: the call is run again when the
-- node changes.
-- @param args.name  who
-- @return how often
function greeting.wait(tx, args)
  local node <const> = node_of(tx, args)
  if not tx:exists(node) then return tx:wait(node) end
  return tonumber(tx:get(node))
end

return greeting
