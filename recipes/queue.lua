-- queue.lua -- items for whoever comes first, in order; with priorities, bounds and claims.
--
-- Tree      <path>/items/500-0000000042  an item: its priority, then its number
--           <path>/queue/0000000042      ephemeral; a waiting call's place; the lowest is
--                                        next
--           <path>/calls/<call id>       ephemeral; the path of that call's place
--           <path>/claimed/<item>        an item that somebody works on ...
--           <path>/claims/<item>         ... and, ephemeral, who; its czxid is the token.
--                                        Without it the item is to be taken again
-- Invariant U1  An item that was added is taken once, or is there.
--           U2  Items of one priority are taken in the order in which they were added,
--               lower priorities first. A claimed item whose worker died comes before all
--               others.
--           U3  Takers are served in the order in which they came.
--           U4  A place and its entry in calls come and go in one transaction.
-- Liveness  The first taker waits for items and for claims that end, each other one for the
--           place before its own: an item wakes one taker, however many wait.

local queue <const> = {}

local PRIORITY <const>, PRIORITY_MAX <const> = 500, 999
local VALUE_BYTES_MAX <const> = 1000000 -- so that an answer with a value fits a message
local PARENTS <const> = { parents = true }
local EPHEMERAL <const> = { ephemeral = true, parents = true }
local ITEM <const> = { parents = true, sequential = true }

local function size(tx, directory)
  local stat <const> = tx:stat(directory)
  return stat and stat.numChildren or 0
end

-- The first claimed item that nobody works on any more. Workers are few, so they are looked
-- through.
local function abandoned(tx, path)
  local item = tx:first(path .. "/claimed")
  while item and tx:exists(path .. "/claims/" .. item:sub(#path + #"/claimed/" + 1)) do
    item = tx:next(item)
  end
  return item
end

-- The item whose turn it is.
local function find_item(tx, path)
  return abandoned(tx, path) or tx:first(path .. "/items")
end

local function check_add(tx, args)
  tx:check(args, { path = "path", value = "string", priority = "natural?",
                   max = "natural?" })
  if #args.value > VALUE_BYTES_MAX then
    tx:fail("value is longer than " .. VALUE_BYTES_MAX .. " bytes")
  end
  if args.priority and args.priority > PRIORITY_MAX then
    tx:fail("priority must be 0 to " .. PRIORITY_MAX)
  end
end

--- Add an item.
-- @param args.path      the queue's directory, created on first use
-- @param args.value     any bytes, at most 1000000
-- @param args.priority  0 to 999, lower ones are taken first; 500 if left out
-- @param args.max       refuse if so many items wait already; the details then hold how
--         many
-- @return {item = string}  its name
function queue.add(tx, args)
  check_add(tx, args)
  local items <const> = args.path .. "/items"
  local count <const> = size(tx, items)
  if args.max and count >= args.max then
    tx:fail("the queue is full: " .. count .. " items", { size = count })
  end
  local prefix <const> = string.format("%s/%03d-", items, args.priority or PRIORITY)
  return { item = tx:create(prefix, args.value, ITEM):sub(#items + 2) }
end

-- Hands the next item to `give`, or waits for one; nil when it may not wait.
local function serve(tx, args, give)
  local path <const> = args.path
  local mine <const>, ahead <const> = tx:place(path)
  local item <const> = not ahead and find_item(tx, path)

  if item then
    if mine then tx:leave(path) end
    return give(tx, path, item)
  end
  if args.try then return nil end
  if not mine then tx:enter(path) end
  if ahead then return tx:wait(ahead) end
  return tx:wait(path .. "/items", path .. "/claims")
end

local function item_name(path, item)
  local items <const> = path .. "/items/"
  local prefix <const> = item:sub(1, #items) == items and items or path .. "/claimed/"
  return item:sub(#prefix + 1)
end

local function take_out(tx, path, item)
  local value <const> = tx:get(item)
  tx:delete(item)
  return { item = item_name(path, item), value = value }
end

--- Take the next item, waiting for one if need be. It is gone then: see claim for items
-- that must not be lost with the one who works on them.
-- @param args.path  the queue's directory
-- @param args.try   true: do not wait; the answer is nil when there is no item, or others
--         wait
-- @return {item = string, value = string}
function queue.take(tx, args)
  tx:check(args, { path = "path", try = "boolean?" })
  return serve(tx, args, take_out)
end

local function claim_it(tx, path, item)
  local found <const> = take_out(tx, path, item)
  local claim <const> = path .. "/claims/" .. found.item
  tx:create(path .. "/claimed/" .. found.item, found.value, PARENTS)
  tx:create(claim, nil, EPHEMERAL)
  found.path, found.token = claim, tx.zxid
  return found
end

--- Take the next item to work on it: it is gone once it is done, and comes back if the
-- session ends before.
-- @param args.path, args.try  as in take
-- @return {item = string, value = string, path = string, token = integer}  path and token
--         to put into a guard, so that a worker of the past changes nothing
function queue.claim(tx, args)
  tx:check(args, { path = "path", try = "boolean?" })
  return serve(tx, args, claim_it)
end

-- Ends a claim; false when it is not the caller's any more.
local function end_claim(tx, args)
  local claim <const> = args.path .. "/claims/" .. args.item
  local stat <const> = tx:stat(claim)
  if not stat or stat.czxid ~= args.token then return false end
  tx:delete(claim)
  return true
end

--- A claimed item is worked off: it is gone for good. Doing it twice is no error.
-- @param args.path   the queue's directory
-- @param args.item, args.token  as claim answered them
-- @return {done = boolean}  false: the claim had ended
function queue.done(tx, args)
  tx:check(args, { path = "path", item = "string", token = "integer" })
  if not end_claim(tx, args) then return { done = false } end
  tx:delete(args.path .. "/claimed/" .. args.item)
  return { done = true }
end

--- Give a claimed item back: it is the next one to be taken.
-- @param args.path   the queue's directory
-- @param args.item, args.token  as claim answered them
-- @return {returned = boolean}  false: the claim had ended
function queue.give_back(tx, args)
  tx:check(args, { path = "path", item = "string", token = "integer" })
  return { returned = end_claim(tx, args) }
end

--- The call timed out or was withdrawn before it was served: leave the line.
function queue.cancel(tx, args)
  tx:leave(args.path)
end

--- What there is.
-- @param args.path  the queue's directory
-- @return {size = integer, claimed = integer, waiting = integer, next = string}  items,
--         items that are worked on, calls that wait, the value of the next item (nil: none)
function queue.peek(tx, args)
  tx:check(args, { path = "path" })
  local path <const>, item <const> = args.path, find_item(tx, args.path)
  return { size = size(tx, path .. "/items"), claimed = size(tx, path .. "/claimed"),
           waiting = size(tx, path .. "/queue"), next = item and tx:get(item) }
end

return queue
