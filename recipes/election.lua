-- election.lua -- one leader at a time, candidates in the order in which they came.
--
-- Tree      <path>/leader            ephemeral; its czxid is the token of the one who
--                                    leads, its data the value that everybody shall see
--           <path>/queue/0000000042  ephemeral; a candidate's place, with its value; the
--                                    lowest is next
--           <path>/calls/<call id>   ephemeral; the path of that call's place, so that a
--                                    call which runs again finds it without a search
--           <path>/heir              the place to which a leader handed its office over;
--                                    means nothing once that place is gone
-- Invariant E1  Whoever leads owns <path>/leader, so a guard on that node and token fences.
--           E2  Tokens only rise: a token is the zxid of the transaction that elected.
--           E3  A place and its entry in calls come and go in one transaction.
--           E4  Nobody is elected while an earlier place is in the queue, except the heir,
--               and nobody but the heir while the heir is in the queue.
--           E5  The value and the end of a term belong to who knows its token.
-- Liveness  A dead session's nodes go with it. Each candidate waits for the place just
--           before its own (the first one for the leader, or the heir), so the end of a
--           term elects one and moves up the next, however many wait. Each waits for its
--           own place too, through which a transfer calls it.
--
-- Every campaign is a candidacy of its own: a second one of the same session waits like
-- anybody. A token is no secret, it is a term's name: a helper of the leader or an operator
-- may end the term with it, and a leader of the past can do nothing.

local election <const> = {}

local VALUE_BYTES_MAX <const> = 4096 -- so that a page of candidates fits an answer
local PAGE_MAX <const> = 200
local EPHEMERAL <const> = { ephemeral = true, parents = true }

local function check_value(tx, value)
  if value and #value > VALUE_BYTES_MAX then
    tx:fail("value is longer than " .. VALUE_BYTES_MAX .. " bytes")
  end
end

-- The place whose turn it is, whoever stands before it; nil: the first one's.
local function find_heir(tx, path)
  local heir <const> = tx:get(path .. "/heir")
  return heir and tx:exists(heir) and heir
end

-- Who must go before the candidate at `mine` (nil: a new one), behind `before`, can lead;
-- nil: nobody.
local function find_blocker(tx, path, mine, before)
  local leader <const>, heir <const> = path .. "/leader", find_heir(tx, path)
  local ahead = before
  if mine and mine == heir then ahead = nil elseif mine then ahead = before or heir end
  return ahead or tx:exists(leader) and leader or nil
end

local function take_office(tx, args)
  local leader <const>, heir <const> = args.path .. "/leader", args.path .. "/heir"
  if tx:exists(heir) then tx:delete(heir) end
  tx:create(leader, args.value, EPHEMERAL)
  return { path = leader, token = tx.zxid, value = args.value }
end

-- What there is to know of a leader, or nil.
local function describe(tx, path)
  local leader <const> = path .. "/leader"
  local stat <const> = tx:stat(leader)
  if not stat then return nil end
  return { path = leader, session = stat.ephemeralOwner, token = stat.czxid,
           value = tx:get(leader), since = stat.ctime, after = stat.mzxid }
end

-- The election's directory, which may be given by the path of its leader too.
local function directory(tx, path)
  local stat <const> = tx:stat(path)
  local leads <const> = stat and stat.ephemeralOwner ~= 0 and path:sub(-7) == "/leader"
  return leads and path:sub(1, -8) or path
end

-- The directory of the election that this token leads; refuses the call if it does not.
local function check_term(tx, args)
  local path <const> = directory(tx, args.path)
  local current <const> = describe(tx, path)
  if not current or current.token ~= args.token then
    tx:fail("token " .. args.token .. " does not lead (any more)", current)
  end
  return path
end

--- Stand for election and wait to be elected. The same call asking again changes nothing.
-- @param args.path   the election's directory, created on first use
-- @param args.value  what others shall see of you, such as an address; at most 4096 bytes
-- @param args.try    true: do not wait; the answer is nil when somebody leads or is to lead
-- @return {path = string, token = integer, value = string}  path and token to put into a
--         guard, and into proclaim, resign and transfer
function election.campaign(tx, args)
  tx:check(args, { path = "path", value = "string?", try = "boolean?" })
  check_value(tx, args.value)
  local mine <const>, before <const> = tx:place(args.path)
  local blocker <const> = find_blocker(tx, args.path, mine, before)

  if not blocker then
    if mine then tx:leave(args.path) end
    return take_office(tx, args)
  end
  if args.try then return nil end
  local place <const> = mine or tx:enter(args.path, args.value)
  return tx:wait(blocker, place) -- run me again when one of them changes
end

--- The campaign timed out or was withdrawn before it was won: leave the queue.
function election.cancel(tx, args)
  tx:leave(args.path)
end

--- Show another value. Refused with the present leader as details when the token does not
-- lead any more.
-- @param args.path   of the election or of its leader, as campaign answered it
-- @param args.token  as campaign answered it
-- @param args.value  the new value
-- @return {path = string, token = integer, value = string}
function election.proclaim(tx, args)
  tx:check(args, { path = "path", token = "integer", value = "string" })
  check_value(tx, args.value)
  local leader <const> = check_term(tx, args) .. "/leader"
  tx:set(leader, args.value)
  return { path = leader, token = args.token, value = args.value }
end

--- Who leads: at once, or when there is something new. To follow an election, hand each
-- answer's `after` to the next call: what came and went between two calls is left out, what
-- is true now never is.
-- @param args.path   the election's directory
-- @param args.after  left out: do not wait. Else wait until the leader or its value is
--                    another than in the answer that bore this number; 0: until one leads
-- @return {path = string, session = integer, token = integer, value = string,
--         since = milliseconds, after = integer}; when nobody leads {after = 0}, or nil if
--         `after` was left out
function election.observe(tx, args)
  tx:check(args, { path = "path", after = "integer?" })
  local current <const> = describe(tx, args.path)
  if not args.after then return current end

  if current and current.after > args.after then return current end
  if not current and args.after ~= 0 then return { after = 0 } end
  return tx:wait(args.path .. "/leader")
end

--- Step down: the first in the queue is elected. Doing it twice is no error.
-- @param args.path   of the election or of its leader, as campaign answered it
-- @param args.token  as campaign answered it
-- @return {resigned = boolean}  false: this token did not lead (any more)
function election.resign(tx, args)
  tx:check(args, { path = "path", token = "integer" })
  local current <const> = describe(tx, directory(tx, args.path))
  local resigned <const> = current ~= nil and current.token == args.token
  if resigned then tx:delete(current.path) end
  return { resigned = resigned }
end

--- Step down in favour of one candidate, whoever stands before it. If that one is gone
-- before it is elected, the first in the queue is.
-- @param args.path   of the election or of its leader, as campaign answered it
-- @param args.token  as campaign answered it
-- @param args.to     the candidate's place, as candidates answers it
-- @return {to = string}  the place
function election.transfer(tx, args)
  tx:check(args, { path = "path", token = "integer", to = "string" })
  local path <const> = check_term(tx, args)
  local place <const> = path .. "/queue/" .. args.to
  if args.to == "" or not tx:exists(place) then
    tx:fail("no candidate has the place " .. args.to)
  end
  tx:delete(path .. "/leader")
  tx:create(path .. "/heir", place)
  tx:set(place, tx:get(place)) -- calls the candidate, whatever else it waits for
  return { to = args.to }
end

--- Who waits to be elected, the next one first. Page by page: hand the last one's place to
-- the next call as `after`.
-- @param args.path   the election's directory
-- @param args.after  the place behind which to begin
-- @param args.limit  how many at most: 1 to 200, which is the default
-- @return array of {place = string, session = integer, value = string,
--         since = milliseconds}
function election.candidates(tx, args)
  tx:check(args, { path = "path", after = "string?", limit = "integer?" })
  local limit <const> = args.limit or PAGE_MAX
  if limit < 1 or limit > PAGE_MAX then tx:fail("limit must be 1 to " .. PAGE_MAX) end
  local queue <const>, found <const> = args.path .. "/queue", array {}
  for i, name in ipairs(tx:children(queue, args.after, limit)) do
    local place <const> = queue .. "/" .. name
    local stat <const> = tx:stat(place)
    found[i] = { place = name, session = stat.ephemeralOwner, value = tx:get(place),
                 since = stat.ctime }
  end
  return found
end

return election
