-- barrier.lua -- a number of clients begin together, and end together, again and again.
--
-- Tree      <path>                    how many it takes, and the round: "3 7"
--           <path>/members/<call id>  ephemeral; who is in this round and has not left it
--           <path>/leavers/<call id>  ephemeral; who has left and waits for the others
--           <path>/full               the newest round that was complete
-- Invariant B1  Nobody is answered that a round has begun before its members are complete.
--           B2  Nobody is answered that a round is over while a member of it is in it.
--           B3  Nobody enters a round that is complete: he waits for the next one.
-- Liveness  Who dies before his round is complete makes room for another. Who dies in it
--           has left it. Of the leavers only the first waits for a member, so a round ends
--           after as many runs as it has members.

local barrier <const> = {}

local EPHEMERAL <const> = { ephemeral = true, parents = true }
local PARENTS <const> = { parents = true }

local function read(tx, path)
  local text <const> = tx:get(path)
  if not text then return nil end
  local space <const> = text:find(" ") or 0
  local count <const> = math.tointeger(tonumber(text:sub(1, space - 1)))
  local round <const> = math.tointeger(tonumber(text:sub(space + 1)))
  if not count or not round then tx:fail(path .. " is no barrier: it holds " .. text) end
  return count, round
end

local function write(tx, path, count, round)
  tx:set(path, count .. " " .. round)
end

-- How many it takes is the first one's word; the others must say the same.
local function open(tx, args)
  local count <const>, round <const> = read(tx, args.path)
  if count == args.count then return round end
  if count then
    tx:fail("the barrier takes " .. count .. ", not " .. args.count, { count = count })
  end
  tx:create(args.path, args.count .. " 1", PARENTS)
  tx:create(args.path .. "/members")
  tx:create(args.path .. "/leavers")
  tx:create(args.path .. "/full", "0")
  return 1
end

local function size(tx, directory)
  return tx:stat(directory).numChildren
end

local function round_full(tx, path)
  return tonumber(tx:get(path .. "/full"))
end

--- Enter, and wait until all are there.
-- @param args.path   the barrier's directory, created on first use
-- @param args.count  how many it takes: 1 to 1000
-- @return {path = string, member = string, round = integer}  to hand to leave as it is
function barrier.enter(tx, args)
  tx:check(args, { path = "path", count = "natural" })
  if args.count < 1 or args.count > 1000 then tx:fail("count must be 1 to 1000") end
  local round <const>, path <const> = open(tx, args), args.path
  local member <const> = path .. "/members/" .. tx.id
  local mine <const> = math.tointeger(tonumber(tx:get(member) or "")) -- an earlier run's

  if not mine then
    if round_full(tx, path) >= round then return tx:wait(path) end
    tx:create(member, tostring(round), EPHEMERAL)
    if size(tx, path .. "/members") == args.count then
      tx:set(path .. "/full", tostring(round))
    end
  end
  if round_full(tx, path) >= (mine or round) then
    return { path = path, member = tx.id, round = mine or round }
  end
  return tx:wait(path .. "/full")
end

-- The last one out begins the next round.
local function end_round(tx, path, round)
  local count <const> = read(tx, path)
  write(tx, path, count, round + 1)
end

--- Leave, and wait until all have left. Hand over what enter answered.
-- @param args.path, args.member, args.round  as enter answered them
-- @return {round = integer}  the one that is over
function barrier.leave(tx, args)
  tx:check(args, { path = "path", member = "string", round = "natural" })
  local path <const> = args.path
  local members <const>, leaver <const> = path .. "/members", path .. "/leavers/" .. tx.id
  local _, round <const> = read(tx, path)
  if not round then tx:fail("there is no barrier " .. path) end

  local member <const> = members .. "/" .. args.member
  if tx:exists(member) then tx:delete(member) end
  if round == args.round and size(tx, members) == 0 then end_round(tx, path, round) end
  if round > args.round or size(tx, members) == 0 then
    if tx:exists(leaver) then tx:delete(leaver) end
    return { round = args.round }
  end
  if not tx:exists(leaver) then tx:create(leaver, nil, EPHEMERAL) end
  return tx:wait(path, tx:previous(leaver) or tx:first(members))
end

--- The call timed out or was withdrawn: who waited to enter is out again; who waited for
-- the others to leave has left all the same.
function barrier.cancel(tx, args, name)
  local directory <const> = name == "enter" and "/members/" or "/leavers/"
  local mine <const> = args.path .. directory .. tx.id
  if tx:exists(mine) then tx:delete(mine) end
end

--- Who is where.
-- @param args.path  the barrier's directory
-- @return {count = integer, round = integer, members = integer, leavers = integer,
--         full = boolean}, or nil
function barrier.state(tx, args)
  tx:check(args, { path = "path" })
  local count <const>, round <const> = read(tx, args.path)
  if not count then return nil end
  return { count = count, round = round, members = size(tx, args.path .. "/members"),
           leavers = size(tx, args.path .. "/leavers"),
           full = round_full(tx, args.path) >= round }
end

return barrier
