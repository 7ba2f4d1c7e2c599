-- rollout.lua -- a new value for some of those who use a configuration, then for all.
--
-- Tree      <path>                   the value of all others, as config.lua keeps it
--           <path>/rollout           the new value, while it is rolled out
--           <path>/rollout/percent   for how many of a hundred
-- Invariant O1  Of a member everybody says the same: it is chosen by a hash of its name and
--               the path, so that more percent only adds members.
--           O2  When it is finished, the new value is a version of the configuration.
-- Liveness  Who follows waits for <path>, <path>/rollout and its percent only.

local rollout <const> = {}

local PARENTS <const> = { parents = true }

-- FNV-1a of 32 bits; its low bits depend on all bytes once the high ones are folded in.
local function hash(text)
  local h = 2166136261
  for i = 1, #text do h = ((h ~ text:byte(i)) * 16777619) & 0xffffffff end
  return h ~ (h >> 15)
end

local function is_chosen(path, member, percent)
  return hash(member .. "\0" .. path) % 100 < percent
end

local function staged(path) return path .. "/rollout" end
local function percent_of(path) return path .. "/rollout/percent" end

local function check_percent(tx, percent)
  if percent > 100 then tx:fail("percent must be 0 to 100") end
end

local function check_open(tx, path)
  if not tx:exists(staged(path)) then tx:fail("nothing is rolled out at " .. path) end
end

local function drop(tx, path)
  tx:delete(percent_of(path))
  tx:delete(staged(path))
end

--- Begin to roll a value out. Refused while another is rolled out.
-- @param args.path     the configuration's node, which has a value already
-- @param args.data     the new value
-- @param args.percent  how many of a hundred members get it: 0 to 100
-- @return {percent = integer}
function rollout.start(tx, args)
  tx:check(args, { path = "path", data = "string", percent = "natural" })
  check_percent(tx, args.percent)
  if not tx:exists(args.path) then tx:fail("there is no configuration at " .. args.path) end
  if tx:exists(staged(args.path)) then
    tx:fail("a value is rolled out already: finish or stop it",
            { percent = tonumber(tx:get(percent_of(args.path))) })
  end
  tx:create(staged(args.path), args.data, PARENTS)
  tx:create(percent_of(args.path), tostring(args.percent))
  return { percent = args.percent }
end

--- Roll it out to more of the members, or to fewer.
-- @param args.path     the configuration's node
-- @param args.percent  0 to 100
-- @return {percent = integer, before = integer}
function rollout.widen(tx, args)
  tx:check(args, { path = "path", percent = "natural" })
  check_percent(tx, args.percent)
  check_open(tx, args.path)
  local before <const> = tonumber(tx:get(percent_of(args.path)))
  tx:set(percent_of(args.path), tostring(args.percent))
  return { percent = args.percent, before = before }
end

--- Everybody gets it: it is the newest version of the configuration.
-- @param args.path  the configuration's node
-- @return {version = integer, zxid = integer}  as config.put answers
function rollout.finish(tx, args)
  tx:check(args, { path = "path" })
  check_open(tx, args.path)
  local data <const> = tx:get(staged(args.path))
  drop(tx, args.path)
  return tx:call("config.put", { path = args.path, data = data })
end

--- Nobody gets it any more. Doing it twice is no error.
-- @param args.path  the configuration's node
-- @return {stopped = boolean}
function rollout.stop(tx, args)
  tx:check(args, { path = "path" })
  local found <const> = tx:exists(staged(args.path))
  if found then drop(tx, args.path) end
  return { stopped = found }
end

-- The newest change of all that decides what a member gets; 0 of what is not there.
local function changed_at(tx, path)
  local newest = 0
  for _, node in ipairs { path, staged(path), percent_of(path) } do
    local stat <const> = tx:stat(node)
    newest = math.max(newest, stat and stat.mzxid or 0)
  end
  return newest
end

-- A stop deletes nodes, so the newest change may be an older one then; whether there is a
-- rollout is a part of the mark for that.
local function mark_of(tx, path)
  return changed_at(tx, path) .. (tx:exists(staged(path)) and "+" or "")
end

local function value_for(tx, path, member)
  local new <const> = tx:exists(staged(path)) and
    is_chosen(path, member, tonumber(tx:get(percent_of(path))))
  local data <const> = tx:get(new and staged(path) or path)
  return { data = data, new = new, after = mark_of(tx, path) }
end

--- The value for one member: at once, or when there may be another.
-- @param args.path    the configuration's node
-- @param args.member  who uses it: a host's name, a customer's
-- @param args.after   left out: do not wait. Else as in the answer before: wait for a
--                     change, of the value or of the percentage
-- @return {data = string, new = boolean, after = string}, data nil without a configuration
function rollout.get(tx, args)
  tx:check(args, { path = "path", member = "string", after = "string?" })
  if args.after == mark_of(tx, args.path) then
    return tx:wait(args.path, staged(args.path), percent_of(args.path))
  end
  return value_for(tx, args.path, args.member)
end

return rollout
