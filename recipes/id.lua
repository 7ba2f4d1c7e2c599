-- id.lua -- numbers that nobody else has: for good, or while a session lives.
--
-- Tree      <path>              the highest number given for good
--           <path>/leases/<n>   ephemeral; n, in ten digits, belongs to this session; its
--                               czxid is the token
--           <path>/queue, <path>/calls  as in lock.lua: calls that wait for a number
-- Invariant I1  A number of next is given once, and higher than all before.
--           I2  A number of lease belongs to one session at a time, and is the lowest free.
--           I3  Nobody is given a number while an earlier call waits for one.
-- Liveness  The first waiting call waits for leases that end, each other one for the place
--           before its own.

local id <const> = {}

local COUNT_MAX <const> = 1000000000
local SIZE_MAX <const> = 1024 -- of a pool: the lowest free number is looked for one by one
local EPHEMERAL <const> = { ephemeral = true, parents = true }

local function highest(tx, path)
  local text <const> = tx:get(path)
  if not text then return 0 end
  return math.tointeger(tonumber(text)) or tx:fail(path .. " holds no integer")
end

--- Numbers for good: `count` of them in a row.
-- @param args.path   the node of the sequence, created on first use
-- @param args.count  how many; 1 if left out. A client that needs many takes a few hundred
--                    at a time
-- @return {first = integer, last = integer}  from 1 on
function id.next(tx, args)
  tx:check(args, { path = "path", count = "natural?" })
  local count <const>, before <const> = args.count or 1, highest(tx, args.path)
  if count < 1 or count > COUNT_MAX then tx:fail("count must be 1 to " .. COUNT_MAX) end
  if before > math.maxinteger - count then tx:fail("there is no number left") end
  if tx:exists(args.path) then
    tx:set(args.path, tostring(before + count))
  else
    tx:create(args.path, tostring(before + count), { parents = true })
  end
  return { first = before + 1, last = before + count }
end

-- --- leases ---

local function lease_of(path, number)
  return string.format("%s/leases/%010d", path, number)
end

-- The lowest free number, or nil.
local function find_free(tx, path, size)
  local number, at = 0, tx:first(path .. "/leases")
  while at and at == lease_of(path, number) do
    number, at = number + 1, tx:next(at)
  end
  return number < size and number or nil
end

--- A number of 0 .. size - 1 while this session lives, waiting for one if need be: for
-- shards, worker numbers, ports.
-- @param args.path  the pool's directory, created on first use
-- @param args.size  how many numbers there are: 1 to 1024
-- @param args.try   true: do not wait; the answer is nil when none is free
-- @return {number = integer, path = string, token = integer}  path and token to put into a
--         guard, and into release
function id.lease(tx, args)
  tx:check(args, { path = "path", size = "natural", try = "boolean?" })
  if args.size < 1 or args.size > SIZE_MAX then
    tx:fail("size must be 1 to " .. SIZE_MAX)
  end
  local mine <const>, ahead <const> = tx:place(args.path)
  local number <const> = not ahead and find_free(tx, args.path, args.size) or nil
  if number then
    if mine then tx:leave(args.path) end
    local node <const> = tx:create(lease_of(args.path, number), nil, EPHEMERAL)
    return { number = number, path = node, token = tx.zxid }
  end
  if args.try then return nil end
  if not mine then tx:enter(args.path) end
  return tx:wait(ahead or args.path .. "/leases")
end

--- The call timed out or was withdrawn before it had a number: leave the queue.
function id.cancel(tx, args)
  tx:leave(args.path)
end

--- Give a leased number back. Doing it twice is no error.
-- @param args.path   as lease answered it
-- @param args.token  as lease answered it
-- @return {released = boolean}  false: it was not held under this token (any more)
function id.release(tx, args)
  tx:check(args, { path = "path", token = "integer" })
  local stat <const> = tx:stat(args.path)
  local held <const> = stat ~= nil and stat.czxid == args.token and stat.ephemeralOwner ~= 0
  if held then tx:delete(args.path) end
  return { released = held }
end

return id
