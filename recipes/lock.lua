-- lock.lua -- one holder at a time, first come first served, with a fencing token.
--
-- Tree      <path>/holder            ephemeral; its czxid is the token of the one who holds
--                                    the lock, its data how often (see reentrant). When its
--                                    session expires it lingers for a while as nobody's, so
--                                    that what the dead one had sent may come to rest
--           <path>/queue/0000000042  ephemeral; a waiting call's place, the lowest is next
--           <path>/calls/<call id>   ephemeral; the path of that call's place, so that a
--                                    call which runs again finds it without a search
-- Invariant L1  Whoever holds the lock owns <path>/holder, so a guard on that node and
--               token fences.
--           L2  Tokens only rise: a token is the zxid of the transaction that granted it.
--           L3  A place and its entry in calls come and go in one transaction.
--           L4  Nobody is granted the lock while an earlier place is in the queue.
-- Liveness  A dead session's nodes go with it. Each waiter waits for the place just before
--           its own (the first one for the holder), so one release grants to one waiter and
--           moves up the next, however many wait.
--
-- Every acquire is a hold of its own: a second one of the same session waits like anybody,
-- so that threads which share a session exclude each other. With reentrant = true the
-- session that holds the lock gets the same token again, and must release it as often.

local lock <const> = {}

local DELAY_MS <const>, DELAY_MS_MAX <const> = 5000, 60000

-- The session that holds the lock; nil: none does, also when the holder's node lingers.
local function held_by(tx, holder)
  local stat <const> = tx:stat(holder)
  return stat and stat.ephemeralOwner ~= 0 and stat.ephemeralOwner or nil
end

local function grant(tx, args, holder)
  local delay <const> = args.delay or DELAY_MS
  tx:create(holder, "1", { ephemeral = true, parents = true,
                           linger = delay > 0 and delay or nil })
  return { path = holder, token = tx.zxid }
end

-- One more hold of the session that holds already.
local function hold_again(tx, holder)
  tx:set(holder, tostring(tonumber(tx:get(holder)) + 1))
  return { path = holder, token = tx:stat(holder).czxid }
end

-- The holder's node of a grant, given by the lock's path or by its own.
local function find_grant(tx, args)
  for _, path in ipairs { args.path .. "/holder", args.path } do
    local stat <const> = tx:stat(path)
    if stat and stat.czxid == args.token and stat.ephemeralOwner ~= 0 then return path end
  end
end

--- Take the lock, waiting for it if need be. The same call asking again changes nothing.
-- @param args.path       the lock's directory, created on first use
-- @param args.try        true: do not wait; the answer is nil when the lock is not free
-- @param args.reentrant  true: the session that holds the lock gets it once more
-- @param args.delay      milliseconds for which nobody gets the lock after this holder's
--                        session has expired: 0 to 60000; 5000 if left out. A release, and
--                        a session that is closed, free it at once
-- @return {path = string, token = integer}  what to put into a guard, and into release
function lock.acquire(tx, args)
  tx:check(args, { path = "path", try = "boolean?", reentrant = "boolean?",
                   delay = "natural?" })
  if args.delay and args.delay > DELAY_MS_MAX then
    tx:fail("delay must be 0 to " .. DELAY_MS_MAX .. " milliseconds")
  end
  local holder <const> = args.path .. "/holder"

  if args.reentrant and held_by(tx, holder) == tx.session then
    tx:leave(args.path)
    return hold_again(tx, holder)
  end

  local mine <const>, ahead <const> = tx:place(args.path)
  if not ahead and not tx:exists(holder) then
    if mine then tx:leave(args.path) end
    return grant(tx, args, holder)
  end

  if args.try then return nil end
  if not mine then tx:enter(args.path, tx.id) end
  return tx:wait(ahead or holder) -- run me again when it changes
end

--- The call timed out or was withdrawn before it was granted: leave the queue.
function lock.cancel(tx, args)
  tx:leave(args.path)
end

--- Give the lock back. Giving it back twice is no error.
-- @param args.path   of the lock or of its holder, as acquire answered it
-- @param args.token  as acquire answered it
-- @return {released = boolean}  false: it was not held under this token (any more)
function lock.release(tx, args)
  tx:check(args, { path = "path", token = "integer" })
  local grant <const> = find_grant(tx, args)
  if not grant then return { released = false } end

  local holds <const> = tonumber(tx:get(grant))
  if holds > 1 then tx:set(grant, tostring(holds - 1)) else tx:delete(grant) end
  return { released = true }
end

--- Who holds the lock.
-- @param args.path  the lock's directory
-- @return {path = string, session = integer, token = integer, since = milliseconds}, or nil
function lock.holder(tx, args)
  tx:check(args, { path = "path" })
  local path <const> = args.path .. "/holder"
  local stat <const> = tx:stat(path)
  if not stat or stat.ephemeralOwner == 0 then return nil end
  local session <const>, since <const> = stat.ephemeralOwner, stat.ctime
  return { path = path, session = session, token = stat.czxid, since = since }
end

return lock
