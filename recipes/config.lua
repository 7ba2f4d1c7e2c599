-- config.lua -- values with numbered versions, a history, and watchers that miss nothing.
--
-- Tree      <path>                      the current value, for plain gets and watches
--           <path>/versions             how many versions to keep; null: 20
--           <path>/versions/0000000042  a kept version's value; czxid and ctime say when
--           <path>/authors/0000000042   the session that stored it; none if not known
-- Invariant F1  After each call the newest version is kept and has the value of <path>.
--           F2  Versions are numbered 1, 2, 3, ... without gap, and are never changed.
--           F3  At most `keep` versions are kept: who stores one drops the old ones in the
--               same transaction.
--           F4  A plain write of <path>, past this recipe, becomes a version, without an
--               author, in the next call (at once, if somebody watches). So <path> is at
--               a version too when it was there before its first put. A query cannot do
--               that: it is refused with read_only, and a call then does.
-- Liveness  A watcher waits for <path> only, and asks for the version after the one it has,
--           so it gets each version while it is not more than `keep` of them behind.

local config <const> = {}

local KEEP_DEFAULT <const>, KEEP_MAX <const> = 20, 400 -- all of them can go in one call
local DATA_BYTES_MAX <const> = 1000000 -- so that an answer with a value fits a message
local PAGE_BYTES <const> = 500000 -- of values in one answer of history, or one value
local GROUP_MAX <const> = 50
local DIFF_MAX <const> = 10000 -- lines times lines: each pair is compared
local PARENTS <const> = { parents = true }

local function check_put(tx, args)
  tx:check(args, { path = "path", data = "string", version = "natural?",
                   keep = "natural?" })
  if #args.data > DATA_BYTES_MAX then
    tx:fail("data is longer than " .. DATA_BYTES_MAX .. " bytes")
  end
  if args.keep and (args.keep < 1 or args.keep > KEEP_MAX) then
    tx:fail("keep must be 1 to " .. KEEP_MAX)
  end
end

local function node_of(path, version)
  return path .. string.format("/versions/%010d", version)
end

local function author_of(path, version)
  return path .. string.format("/authors/%010d", version)
end

local function number_of(tx, path, node)
  local number <const> = math.tointeger(tonumber(node:sub(#path + #"/versions/" + 1)))
  return number or tx:fail(node .. " is no version: it must be deleted")
end

-- How many versions to keep. What somebody wrote there by hand must not drop them all.
local function keep_of(tx, path)
  local keep <const> = tonumber(tx:get(path .. "/versions") or "") or KEEP_DEFAULT
  return math.max(1, math.min(keep, KEEP_MAX))
end

local function drop_below(tx, path, oldest)
  local node = tx:first(path .. "/versions")
  while node and number_of(tx, path, node) < oldest do
    local author <const> = author_of(path, number_of(tx, path, node))
    local following <const> = tx:next(node)
    tx:delete(node)
    if tx:exists(author) then tx:delete(author) end
    node = following
  end
end

-- Makes what <path> holds now a version. `session` 0: nobody knows whose it is.
local function keep_version(tx, path, version, session)
  tx:create(node_of(path, version), tx:get(path), PARENTS)
  if session ~= 0 then
    tx:create(author_of(path, version), tostring(session), PARENTS)
  end
  drop_below(tx, path, version - keep_of(tx, path) + 1)
end

-- Has <path> been written since its newest version at `newest` (nil: none) was kept?
local function is_written(tx, path, newest)
  if not newest then return tx:get(path) ~= nil end
  return tx:stat(path).mzxid > tx:stat(newest).czxid
end

-- The number of the newest version, 0 when there is none. F4 is done here.
local function newest_of(tx, path)
  local newest <const> = tx:last(path .. "/versions")
  local version = newest and number_of(tx, path, newest) or 0
  if is_written(tx, path, newest) then
    version = version + 1
    keep_version(tx, path, version, 0)
  end
  return version
end

local function set_keep(tx, path, keep)
  local directory <const> = path .. "/versions"
  if tx:exists(directory) then
    tx:set(directory, tostring(keep))
  else
    tx:create(directory, tostring(keep), PARENTS)
  end
end

-- `keep` nil: as many as before.
local function store(tx, path, version, data, keep)
  if tx:exists(path) then tx:set(path, data) else tx:create(path, data, PARENTS) end
  if keep then set_keep(tx, path, keep) end
  keep_version(tx, path, version, tx.session)
  return { version = version, zxid = tx.zxid }
end

local function describe(tx, path, version)
  local node <const> = node_of(path, version)
  local stat <const>, author <const> = tx:stat(node), tx:get(author_of(path, version))
  return { version = version, zxid = stat.czxid, time = stat.ctime,
           size = stat.dataLength, session = author and tonumber(author) }
end

-- A version with its value; refused with the range of those that are kept.
local function read(tx, path, version, newest)
  local node <const> = node_of(path, version)
  if newest == 0 then tx:fail("there is no configuration at " .. path) end
  if not tx:exists(node) then
    local first <const> = tx:first(path .. "/versions")
    local oldest <const> = first and number_of(tx, path, first) or 0
    tx:fail("version " .. version .. " is not kept, only " .. oldest .. " to " .. newest,
            { oldest = oldest, newest = newest })
  end
  local found <const> = describe(tx, path, version)
  found.data = tx:get(node)
  return found
end

--- Store a value as a new version.
-- @param args.path     the node of the value, created on first use
-- @param args.data     the value, any bytes, at most 1000000
-- @param args.version  refuse with a conflict unless this is the newest version (0: unless
--                      there is none); the details then hold the newest one's number
-- @param args.keep     how many versions to keep from now on: 1 to 400, at first 20
-- @return {version = integer, zxid = integer}
function config.put(tx, args)
  check_put(tx, args)
  local newest <const> = newest_of(tx, args.path)
  if args.version and args.version ~= newest then
    tx:fail("conflict: the version is " .. newest .. ", not " .. args.version,
            { version = newest })
  end
  return store(tx, args.path, newest + 1, args.data, args.keep)
end

--- A version and its value.
-- @param args.path     the node of the value
-- @param args.version  which one; left out: the newest
-- @return {version = integer, data = string, zxid = integer, time = milliseconds,
--         size = bytes, session = integer}, or nil when nothing was ever stored; session is
--         missing when nobody knows who stored it
function config.get(tx, args)
  tx:check(args, { path = "path", version = "natural?" })
  local newest <const> = newest_of(tx, args.path)
  if newest == 0 and not args.version then return nil end
  return read(tx, args.path, args.version or newest, newest)
end

--- The kept versions without their values, the oldest first.
-- @param args.path  the node of the value
-- @return array of {version, zxid, time, size, session} as in get
function config.versions(tx, args)
  tx:check(args, { path = "path" })
  local path <const>, found <const> = args.path, array {}
  newest_of(tx, path)
  for i, name in ipairs(tx:children(path .. "/versions")) do
    found[i] = describe(tx, path, number_of(tx, path, path .. "/versions/" .. name))
  end
  return found
end

--- Store the value of a kept version once more, as a new version.
-- @param args.path     the node of the value
-- @param args.version  the version to go back to
-- @return {version = integer, zxid = integer}  the new one
function config.rollback(tx, args)
  tx:check(args, { path = "path", version = "natural" })
  local newest <const> = newest_of(tx, args.path)
  local old <const> = read(tx, args.path, args.version, newest)
  return store(tx, args.path, newest + 1, old.data)
end

--- The version after the one that you have, waiting for it if need be. Begin with get (0
-- when it says nil), then hand each answer's version to the next call.
-- @param args.path   the node of the value
-- @param args.after  the version that you have
-- @return as get; with skipped = true when the version after yours is not kept any more
--         and this is the newest
function config.watch(tx, args)
  tx:check(args, { path = "path", after = "natural" })
  local newest <const> = newest_of(tx, args.path)
  if newest <= args.after then return tx:wait(args.path) end

  local skipped <const> = not tx:exists(node_of(args.path, args.after + 1))
  local found <const> = read(tx, args.path, skipped and newest or args.after + 1, newest)
  found.skipped = skipped or nil
  return found
end

--- All kept versions after the one that you have, the oldest first, without waiting.
-- @param args.path   the node of the value
-- @param args.after  the version that you have; 0: all
-- @return {versions = array as of get, skipped = boolean, more = boolean}  skipped: some
--         after yours are not kept any more; more: ask again after the last of these
function config.history(tx, args)
  tx:check(args, { path = "path", after = "natural" })
  local path <const>, newest <const> = args.path, newest_of(tx, args.path)
  local found <const>, bytes = array {}, 0
  local node = tx:next(node_of(path, args.after))
  local skipped <const> = node ~= nil and number_of(tx, path, node) > args.after + 1

  while node do
    bytes = bytes + tx:stat(node).dataLength
    if bytes > PAGE_BYTES and #found > 0 then break end
    found[#found + 1] = read(tx, path, number_of(tx, path, node), newest)
    node = tx:next(node)
  end
  return { versions = found, skipped = skipped, more = node ~= nil }
end

-- --- several at once ---

-- A list of maps, each with the arguments of `check`; each path once.
local function check_group(tx, args, name, check)
  local seen <const> = {}
  local count <const> = #args[name]
  if count < 1 or count > GROUP_MAX then
    tx:fail(name .. " must be 1 to " .. GROUP_MAX)
  end
  for _, item in ipairs(args[name]) do
    check(tx, item)
    if seen[item.path] then tx:fail(item.path .. " is there twice") end
    seen[item.path] = true
  end
end

--- Store several values, all or none.
-- @param args.items  array of {path, data, version, keep} as of put; 1 to 50
-- @return array of {version = integer, zxid = integer}, in the same order
function config.put_all(tx, args)
  tx:check(args, { items = "table" })
  check_group(tx, args, "items", check_put)
  local found <const> = array {}
  for i, item in ipairs(args.items) do found[i] = config.put(tx, item) end
  return found
end

--- Several values as of one moment.
-- @param args.items  array of {path, version} as of get; 1 to 50
-- @return array of answers as of get, in the same order; null for a value that was never
--         stored. Together they must fit an answer
function config.get_all(tx, args)
  tx:check(args, { items = "table" })
  check_group(tx, args, "items", function(_, item)
    tx:check(item, { path = "path", version = "natural?" })
  end)
  local found <const> = array {}
  for i, item in ipairs(args.items) do found[i] = config.get(tx, item) or null end
  return found
end

-- --- what changed ---

local function lines_of(text)
  local lines <const>, at = {}, 1
  while at <= #text do
    local stop <const> = text:find("\n", at) or #text + 1
    lines[#lines + 1] = text:sub(at, stop - 1)
    at = stop + 1
  end
  return lines
end

-- How long the longest common sequence is of a from i and b from j: lengths[i][j].
local function common_lengths(a, b)
  local lengths <const> = {}
  for i = #a + 1, 1, -1 do
    lengths[i] = { [#b + 1] = 0 }
    for j = #b, 1, -1 do
      if i > #a then
        lengths[i][j] = 0
      elseif a[i] == b[j] then
        lengths[i][j] = lengths[i + 1][j + 1] + 1
      else
        lengths[i][j] = math.max(lengths[i + 1][j], lengths[i][j + 1])
      end
    end
  end
  return lengths
end

local function diff_lines(a, b)
  local lengths <const>, out <const>, i, j = common_lengths(a, b), array {}, 1, 1
  while i <= #a or j <= #b do
    if i <= #a and j <= #b and a[i] == b[j] then
      out[#out + 1] = "  " .. a[i]
      i, j = i + 1, j + 1
    elseif j > #b or (i <= #a and lengths[i + 1][j] >= lengths[i][j + 1]) then
      out[#out + 1] = "- " .. a[i]
      i = i + 1
    else
      out[#out + 1] = "+ " .. b[j]
      j = j + 1
    end
  end
  return out
end

--- What changed from one version to another, line by line.
-- @param args.path  the node of the value
-- @param args.from  the older version, or any other
-- @param args.to    left out: the newest
-- @return {from = integer, to = integer, lines = array of strings}  each begins with "- "
--         (was there), "+ " (is there now) or "  " (both)
function config.diff(tx, args)
  tx:check(args, { path = "path", from = "natural", to = "natural?" })
  local newest <const> = newest_of(tx, args.path)
  local to <const> = args.to or newest
  local a <const> = lines_of(read(tx, args.path, args.from, newest).data or "")
  local b <const> = lines_of(read(tx, args.path, to, newest).data or "")
  if #a * #b > DIFF_MAX then tx:fail("they are too long to be compared here") end
  return { from = args.from, to = to, lines = diff_lines(a, b) }
end

return config
