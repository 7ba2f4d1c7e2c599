-- rwlock.lua -- many readers or one writer, first come first served, with fencing tokens.
--
-- Tree      <path>/writer              ephemeral; its czxid is the writer's token
--           <path>/readers/<call id>   ephemeral; its czxid is that reader's token
--           <path>/upgrade             ephemeral; the reader who is to become the writer
--           <path>/queue/0000000042    ephemeral; a waiting call's place, the lowest is
--                                      next; its data is "read" or "write"
--           <path>/calls/<call id>     ephemeral; the path of that call's place
-- Invariant W1  There is a writer and no reader, or no writer.
--           W2  Nobody is granted while an earlier place is in the queue, or while a reader
--               is to become the writer, but that one.
--           W3  Tokens only rise: a token is the zxid of the transaction that granted it.
--           W4  A place and its entry in calls come and go in one transaction.
-- Liveness  Each waiter waits for the place before its own, the first one for the writer,
--           and if it is to write for the readers. Of readers that follow each other each
--           lets the next one in. A writer waits for those before it only, so nobody
--           starves.

local rwlock <const> = {}

local EPHEMERAL <const> = { ephemeral = true, parents = true }

local function grant(tx, node)
  return { path = tx:create(node, nil, EPHEMERAL), token = tx.zxid }
end

-- What the first in the queue waits for: what stands in its way, or nil.
local function obstacle(tx, path, writes)
  for _, node in ipairs { path .. "/writer", path .. "/upgrade" } do
    if tx:exists(node) then return node end
  end
  return writes and tx:first(path .. "/readers") or nil
end

local function acquire(tx, args, what, node)
  local mine <const>, before <const> = tx:place(args.path)
  local ahead <const> = before or obstacle(tx, args.path, what == "write")

  if not ahead then
    if mine then tx:leave(args.path) end
    return grant(tx, node)
  end
  if args.try then return nil end
  if not mine then tx:enter(args.path, what) end
  return tx:wait(ahead)
end

--- Take it to read, together with other readers, waiting if need be.
-- @param args.path  the lock's directory, created on first use
-- @param args.try   true: do not wait; the answer is nil when it cannot be had now
-- @return {path = string, token = integer}  what to put into a guard, and into release
function rwlock.read(tx, args)
  tx:check(args, { path = "path", try = "boolean?" })
  return acquire(tx, args, "read", args.path .. "/readers/" .. tx.id)
end

--- Take it to write, alone, waiting if need be.
-- @param args.path, args.try  as in read
-- @return {path = string, token = integer}  what to put into a guard, and into release
function rwlock.write(tx, args)
  tx:check(args, { path = "path", try = "boolean?" })
  return acquire(tx, args, "write", args.path .. "/writer")
end

-- Is that the node of a hold that is still held?
local function holds(tx, node, token)
  local stat <const> = tx:stat(node)
  return stat ~= nil and stat.czxid == token and stat.ephemeralOwner ~= 0
end

local function check_hold(tx, args)
  if not holds(tx, args.path, args.token) then
    tx:fail("token " .. args.token .. " does not hold " .. args.path .. " (any more)")
  end
end

local function ends_with(text, ending)
  return text:sub(-#ending) == ending
end

-- The lock's directory, of a reader's node; refuses the call for any other.
local function directory_of_reader(tx, node)
  local at = 0
  repeat
    local found <const> = node:find("/readers/", at + 1)
    at = found or at
  until not found
  if at == 0 then tx:fail(node .. " is no reader's hold") end
  return node:sub(1, at - 1)
end

--- A reader becomes the writer, before all who wait; it reads on until the other readers
-- have gone. Of two readers who want it the second is refused: each would wait for the
-- other.
-- @param args.path   as read answered it
-- @param args.token  as read answered it
-- @return {path = string, token = integer}  of the writer; the reader's are no more
function rwlock.upgrade(tx, args)
  tx:check(args, { path = "path", token = "integer", try = "boolean?" })
  check_hold(tx, args)
  local lock <const> = directory_of_reader(tx, args.path)
  local mark <const> = lock .. "/upgrade"

  if tx:exists(mark) and tx:get(mark) ~= tx.id then
    tx:fail("another reader is to become the writer: release this one first")
  end
  local first <const> = tx:first(lock .. "/readers")
  local other <const> = first ~= args.path and first or tx:next(args.path)
  if not other then
    if tx:exists(mark) then tx:delete(mark) end
    tx:delete(args.path)
    return grant(tx, lock .. "/writer")
  end
  if args.try then return nil end
  if not tx:exists(mark) then tx:create(mark, tx.id, EPHEMERAL) end
  return tx:wait(other)
end

--- The writer becomes a reader; readers who are next come in, too.
-- @param args.path   as write answered it
-- @param args.token  as write answered it
-- @return {path = string, token = integer}  of the reader; the writer's are no more
function rwlock.downgrade(tx, args)
  tx:check(args, { path = "path", token = "integer" })
  check_hold(tx, args)
  if not ends_with(args.path, "/writer") then
    tx:fail(args.path .. " is no writer's hold")
  end
  local lock <const> = args.path:sub(1, -#"/writer" - 1)
  tx:delete(args.path)
  return grant(tx, lock .. "/readers/" .. tx.id)
end

--- Give it back. Giving it back twice is no error.
-- @param args.path   as it was answered
-- @param args.token  as it was answered
-- @return {released = boolean}  false: it was not held under this token (any more)
function rwlock.release(tx, args)
  tx:check(args, { path = "path", token = "integer" })
  local held <const> = holds(tx, args.path, args.token)
  if held then tx:delete(args.path) end
  return { released = held }
end

--- The call timed out or was withdrawn before it was granted.
function rwlock.cancel(tx, args, name)
  if name ~= "upgrade" then return tx:leave(args.path) end
  local mark <const> = directory_of_reader(tx, args.path) .. "/upgrade"
  if tx:get(mark) == tx.id then tx:delete(mark) end
end

local function count(tx, directory)
  local stat <const> = tx:stat(directory)
  return stat and stat.numChildren or 0
end

--- Who has it, and how many wait.
-- @param args.path  the lock's directory
-- @return {readers = integer, writer = session or nil, waiting = integer}
function rwlock.state(tx, args)
  tx:check(args, { path = "path" })
  local writer <const> = tx:stat(args.path .. "/writer")
  return { readers = count(tx, args.path .. "/readers"),
           writer = writer and writer.ephemeralOwner,
           waiting = count(tx, args.path .. "/queue") }
end

return rwlock
