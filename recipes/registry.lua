-- registry.lua -- who offers a service, where, and in what state; a group of members.
--
-- Tree      <path>/members/<id>  ephemeral; state, a blank, data: "up 10.0.0.5:8080"
--           <path>/changes       touched with each change that is not a coming or going
-- Invariant G1  A member is there while its session lives and it has not left.
--           G2  Of an id there is one member. Who comes with an id that another session has
--               is refused, unless it says that it takes over.
--           G3  `version` of an answer rises with every change of the group.
-- Liveness  Who follows the group waits for <path>/members and <path>/changes only, however
--           many members there are.

local registry <const> = {}

local STATES <const> = { up = true, draining = true, down = true }
local DATA_BYTES_MAX <const> = 4096 -- so that a page of members fits an answer
local PAGE_MAX <const> = 200
local EPHEMERAL <const> = { ephemeral = true, parents = true }

local function member_of(path, id)
  return path .. "/members/" .. id
end

local function check_member(tx, args)
  if args.id == "" or args.id:find("/") then tx:fail("id must be a name without /") end
  if args.data and #args.data > DATA_BYTES_MAX then
    tx:fail("data is longer than " .. DATA_BYTES_MAX .. " bytes")
  end
  if args.state and not STATES[args.state] then
    tx:fail("state must be up, draining or down")
  end
end

local function write(state, data)
  return state .. " " .. data
end

local function read(text)
  local blank <const> = text:find(" ")
  return text:sub(1, blank - 1), text:sub(blank + 1)
end

local function note_change(tx, path)
  local node <const> = path .. "/changes"
  if tx:exists(node) then tx:set(node) else tx:create(node, nil, { parents = true }) end
end

local function describe(tx, path, id)
  local node <const> = member_of(path, id)
  local stat <const> = tx:stat(node)
  local state <const>, data <const> = read(tx:get(node))
  return { id = id, state = state, data = data, session = stat.ephemeralOwner,
           token = stat.czxid, since = stat.ctime }
end

-- G3: the newest coming, going or change.
local function version_of(tx, path)
  local members <const> = tx:stat(path .. "/members")
  local changes <const> = tx:stat(path .. "/changes")
  return math.max(members and members.pzxid or 0, changes and changes.mzxid or 0)
end

--- Be a member while this session lives. The same session again changes state and data.
-- @param args.path   the group's directory, created on first use
-- @param args.id     the member's name in the group
-- @param args.data   what others shall know, such as an address; at most 4096 bytes
-- @param args.state  up (if left out), draining or down
-- @param args.take_over  true: put another session's member of this id out
-- @return {path = string, token = integer, version = integer}  path and token to put into a
--         guard: it holds while this member is there
function registry.join(tx, args)
  tx:check(args, { path = "path", id = "string", data = "string?", state = "string?",
                   take_over = "boolean?" })
  check_member(tx, args)
  if tx.session == 0 then tx:fail("a member needs a session") end
  local node <const> = member_of(args.path, args.id)
  local text <const> = write(args.state or "up", args.data or "")
  local stat = tx:stat(node)

  if stat and stat.ephemeralOwner ~= tx.session then
    if not args.take_over then
      tx:fail(args.id .. " is a member of another session",
              { session = stat.ephemeralOwner })
    end
    tx:delete(node)
    stat = nil
  end
  if stat then
    tx:set(node, text)
    note_change(tx, args.path)
  else
    tx:create(node, text, EPHEMERAL)
  end
  return { path = node, token = stat and stat.czxid or tx.zxid, version = tx.zxid }
end

--- Change a member's state or data: its own session may, and any other (health checks).
-- @param args.path   the group's directory
-- @param args.id     the member
-- @param args.state, args.data  what is left out stays as it is
-- @return {version = integer}
function registry.update(tx, args)
  tx:check(args, { path = "path", id = "string", data = "string?", state = "string?" })
  check_member(tx, args)
  local node <const> = member_of(args.path, args.id)
  local text <const> = tx:get(node)
  if not text then tx:fail("there is no member " .. args.id) end
  local state <const>, data <const> = read(text)
  tx:set(node, write(args.state or state, args.data or data))
  note_change(tx, args.path)
  return { version = tx.zxid }
end

--- Leave the group, or put a member out. Doing it twice is no error.
-- @param args.path  the group's directory
-- @param args.id    the member
-- @param args.token put out this one only, as join answered it
-- @return {left = boolean}  false: there was no such member
function registry.leave(tx, args)
  tx:check(args, { path = "path", id = "string", token = "integer?" })
  check_member(tx, args)
  local node <const> = member_of(args.path, args.id)
  local stat <const> = tx:stat(node)
  local found <const> = stat ~= nil and (not args.token or stat.czxid == args.token)
  if found then tx:delete(node) end
  return { left = found }
end

--- One member.
-- @param args.path  the group's directory
-- @param args.id    the member
-- @return {id = string, state = string, data = string, session = integer, token = integer,
--         since = milliseconds}, or nil
function registry.get(tx, args)
  tx:check(args, { path = "path", id = "string" })
  check_member(tx, args)
  if not tx:exists(member_of(args.path, args.id)) then return nil end
  return describe(tx, args.path, args.id)
end

--- The members, in the order of their ids. To follow the group, hand each answer's version
-- to the next call: it waits until there is something new.
-- @param args.path     the group's directory
-- @param args.version  left out: do not wait. Else wait until the version is another one
-- @param args.state    members in this state only
-- @param args.after    members behind this id only: for the next page
-- @param args.limit    how many at most: 1 to 200, which is the default
-- @return {members = array as of get, version = integer, more = boolean}
function registry.list(tx, args)
  tx:check(args, { path = "path", version = "natural?", state = "string?",
                   after = "string?", limit = "natural?" })
  local limit <const>, path <const> = args.limit or PAGE_MAX, args.path
  if limit < 1 or limit > PAGE_MAX then tx:fail("limit must be 1 to " .. PAGE_MAX) end
  local version <const> = version_of(tx, path)
  if args.version == version then return tx:wait(path .. "/members", path .. "/changes") end

  local found <const> = array {}
  local at = args.after and member_of(path, args.after)
  at = at and tx:next(at) or not at and tx:first(path .. "/members") or nil
  while at and #found < limit do
    local one <const> = describe(tx, path, at:sub(#path + #"/members/" + 1))
    if not args.state or one.state == args.state then found[#found + 1] = one end
    at = tx:next(at)
  end
  return { members = found, version = version, more = at ~= nil }
end

return registry
