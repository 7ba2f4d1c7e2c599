-- tidelock.lua -- the client of Tidelock for Lua 5.4: what `require "tidelock"` gives.
--
-- The C half (client.c, watch.c, codec.c) has one method for each call of tidelock.h. Here
-- stand the objects made of them: locks, elections, configuration. All calls block.
--
-- Every failure is `nil, err`, where err is {code = "no_node", message = "..."} and reads
-- well as a string, so assert() works on methods. A wrong type of argument raises an error.
-- With a session, each write is done once, whatever server fails meanwhile; code "pending"
-- says that it goes on in the background, "session_expired" that locks and ephemeral nodes
-- are gone.
--
-- Null data (a node without any) is tidelock.null, never nil.

local tidelock <const>, failure <const> = ...
local client <const> = tidelock.methods
tidelock.methods = nil

local lock_acquire <const> = client.lock_acquire
client.lock_acquire = nil

-- What a caller gave wrong is told with the caller's line.
local function check(value, kind, name)
  if (math.type(value) or type(value)) ~= kind then
    error(name .. " must be of type " .. kind .. ", not " .. type(value), 3)
  end
end

local function check_optional(value, kind, name)
  if value ~= nil and (math.type(value) or type(value)) ~= kind then
    error(name .. " must be of type " .. kind .. ", not " .. type(value), 3)
  end
end

-- Only those options that are there to be given; a misspelt one must not be overlooked.
local function check_options(options, kinds)
  if options == nil then return {} end
  if type(options) ~= "table" then
    error("options must be of type table, not " .. type(options), 3)
  end
  for name, value in pairs(options) do
    local kind <const> = kinds[name]
    if not kind then error("there is no option " .. tostring(name), 3) end
    if (math.type(value) or type(value)) ~= kind then
      error(name .. " must be of type " .. kind, 3)
    end
  end
  return options
end

local WAIT <const> = { wait_ms = "integer" }

--- Connect, and open a session if one is asked for.
-- @function tidelock.connect
-- @param options.servers     "host:port,host:port"; left out: $TIDELOCK_SERVERS
-- @param options.session     true, or how long it lives without us in milliseconds: needed
--                            for locks, elections, ephemeral nodes, recipes that wait,
--                            and writes done once
-- @param options.session_file  where the session is noted, for the case that the program
--                            dies: its next start ends it there and need not wait for it
-- @param options.cluster     the name of the cluster that it must be
-- @param options.timeout_ms  the limit of one call, at first 10000
-- @param options.prefix      "/apps/a": stands before every path given, and is taken off
--                            each path told: the program sees only what is below it
-- @param options.reads       what get, stat, children and query tell: "strong", as new as
--                            the service is; or "any", what the server at hand has, at
--                            once: it may be old; "session", by any server that has all that
--                            this client was told of, so it reads its own writes; "bounded", by
--                            any that is no more than max_lag_ms behind, else code "stale"
-- @return a client, which may be <close>d, or nil, err

--- The data and the stat of a node, as of now.
-- @function client:get
-- @param path
-- @return data (tidelock.null: none), stat, or nil, err. A stat has the fields that recipes
--         see: version, czxid, mzxid, ctime, mtime, ephemeralOwner, dataLength and so on

--- Set a node's data.
-- @function client:set
-- @param path
-- @param data             a string, or tidelock.null
-- @param options.version  only if the node has this version
-- @param options.guard    only while this lock or leadership is held
-- @return stat, or nil, err

--- Create a node.
-- @function client:create
-- @param path
-- @param data                a string; left out: none
-- @param options.ephemeral   it goes with our session
-- @param options.sequential  a number that only rises is added to its name
-- @param options.parents     so are the nodes above it that are missing
-- @param options.container   it goes with its last child
-- @param options.ttl_ms      it goes when not changed or touched for so long, without children
-- @param options.linger_ms   ephemeral: its name stays taken so long after we expired
-- @param options.guard       as in set
-- @return the path, stat, or nil, err

--- Delete a node without children.
-- @function client:delete
-- @param path
-- @param options.version, options.guard  as in set
-- @return true, or nil, err

--- Let a TTL begin anew.
-- @function client:touch
-- @param path
-- @param options.guard  as in set
-- @return stat, or nil, err

--- Delete a node and all below it, in one transaction up to 10,000 nodes; more in steps.
-- @function client:delete_tree
-- @param path
-- @param options.guard  as in set
-- @return how many, or nil, err

--- Copy a node and all below it, up to 10,000 nodes, to where there is none.
-- @function client:copy
-- @param from
-- @param to
-- @param options.guard  as in set
-- @return how many, or nil, err

--- A node and all below it, parents first, in order.
-- @function client:tree
-- @param path
-- @param options.after  only what comes after this path
-- @param options.limit  at most so many, at first 1000, the most
-- @param options.data   with the data
-- @return array of {path, stat, data}, whether there are more; or nil, err

--- The stat of a node.
-- @function client:stat
-- @param path
-- @return stat, or nil, err

--- The names of a node's children, in order.
-- @function client:children
-- @param path
-- @param options.after  only those after this name
-- @param options.limit  at most so many, at first 1000
-- @return array of names, whether there are more; or nil, err

--- Run a recipe's function on the server.
-- @function client:call
-- @param name             "recipe.function"
-- @param args             nil, a boolean, number, string or table of these. As in recipes,
--                         tidelock.null keeps a place in an array, and tidelock.array {} is
--                         an empty array where {} is an empty map
-- @param options.wait_ms  how long it may wait on the server; left out: without limit
-- @param options.guard    as in set
-- @return what it answered (which may be nil, without an err), or nil, err

--- Run a recipe's function that only reads: on the server at hand, at the price of a read
-- and as new as one, without a session.
-- @function client:query
-- @param name  "recipe.function"
-- @param args  as in call
-- @return as call; err.code is "read_only" when the function tried to write or to wait

--- The full path of one below the prefix, for what a recipe of your own is called with.
-- @function client:path
-- @param path
-- @return the path, or nil, err

--- Be told of every change of a node, also over failures of servers.
-- @function client:watch
-- @param path
-- @param options.data      the node created, changed, deleted; the default
-- @param options.children  children created or deleted
-- @param options.value     events of data bear the data
-- @param options.recursive data of the node and of all below it; goes without children
-- @param options.snapshot  what stands there is told first, in place of reading it; goes
--         without children and since
-- @param options.since     go on from an earlier life that had seen all up to this zxid
-- @return a watch, which may be <close>d, or nil, err. watch:next(timeout_ms) waits for the
--         next event {kind = "created" | "changed" | "deleted" | "children" | "armed" |
--         "lagged" | "node" | "ready", path, zxid, data}. "armed" comes first: read then, and
--         nothing is missed. "lagged": some may be missing, read again. nil, err with code "timeout"
--         when none came, or why there will be no more. watch:close() ends it. watch:zxid():
--         all up to it was given by next(); it rises while nothing happens. With
--         options.snapshot, "armed" is followed by a "node" for each that stands there and by
--         "ready": what was told so far adds up to the tree at that zxid. "lagged" then
--         says that all of it is told again

--- How the session does.
-- @function client:session
-- @return "none", "ok", "jeopardy" (not renewed for half its time) or "over"; milliseconds
--         for which it certainly lives; its number

--- Close: the session ends, and what was bound to it goes at once. Every method then fails
-- with code "closed".
-- @function client:close
-- @return true

-- Recipes know nothing of prefixes: they are given full paths, and tell such.
local function grant_of(object)
  return { path = object.client:path(object.path), token = object.token }
end

local function below_prefix(c, path)
  local prefix <const> = c:path("/")
  if prefix == "/" or not prefix then return path end
  return path:sub(#prefix + 1)
end

-- --- locks ---

local lock <const> = {}
lock.__index = lock

--- Take a lock, waiting for it if need be.
-- @param path             the lock's directory
-- @param options.wait_ms  how long to wait: err.code is "timeout" then
-- @param options.try      true: do not wait; err.code is "refused" when it is not free
-- @return a lock {path, token}, to be used as guard; <close> releases it, the collector does
--         not: else it is held until the session ends. Or nil, err
function client:lock(path, options)
  local granted <const>, token <const> = lock_acquire(self, path, options)
  if not granted then return nil, token end
  return setmetatable({ client = self, path = granted, token = token }, lock)
end

--- Give the lock back. Doing it twice is no error.
-- @return true, or nil, err
function lock:release()
  if self.released then return true end
  local done <const>, err <const> =
    self.client:call("lock.release", grant_of(self))
  if not done then return nil, err end
  self.released = true
  return true
end

-- What cannot be released now, is when the session ends.
function lock:__close()
  self:release()
end

-- --- elections ---

local leadership <const>, election <const> = {}, {}
leadership.__index, election.__index = leadership, election

--- An election, by its directory.
-- @param path  created on first use
function client:election(path)
  check(path, "string", "path")
  return setmetatable({ client = self, path = path }, election)
end

--- Stand for election and wait to be elected.
-- @param value            what others shall see of us, such as an address
-- @param options.wait_ms  how long to wait: err.code is "timeout" then. With "pending" no
--                         server could answer and we may still be elected: close the client
-- @param options.try      true: do not wait; err.code is "refused" while another one leads
-- @return a leadership {path, token, value}, to be used as guard; <close> resigns. Or nil,
--         err
function election:campaign(value, options)
  check_optional(value, "string", "value")
  local given <const> = check_options(options, { wait_ms = "integer", try = "boolean" })
  local won <const>, err <const> = self.client:call("election.campaign",
    { path = self.client:path(self.path), value = value, try = given.try },
    { wait_ms = given.wait_ms })
  if err then return nil, err end
  if not won then return nil, failure("refused", "another one leads at " .. self.path) end
  won.client = self.client
  won.path = below_prefix(self.client, won.path)
  return setmetatable(won, leadership)
end

--- Who leads: at once, or when there is something new.
-- @param after            nil: do not wait. Else the `after` of the last answer; 0: until
--                         one leads
-- @param options.wait_ms  how long to wait
-- @return {value, token, path, session, since, after}; {after = 0} when nobody leads; or
--         nil, err
function election:observe(after, options)
  check_optional(after, "integer", "after")
  check_options(options, WAIT)
  local args <const> = { path = self.client:path(self.path), after = after }
  local leader, err
  if after then
    leader, err = self.client:call("election.observe", args, options)
  else
    leader, err = self.client:query("election.observe", args)
  end
  if err then return nil, err end
  if not leader then return { after = 0 } end
  leader.path = leader.path and below_prefix(self.client, leader.path)
  return leader
end

--- Each leader in turn, the one of now first: `for leader in e:leaders() do`. It waits for
-- as long as it takes, so it needs a session; an error of observe() is raised.
-- @return an iterator of what observe() returns, without the moments when nobody leads
function election:leaders()
  local after
  return function()
    local leader, err
    repeat
      leader, err = self:observe(after)
      if not leader then error(err, 0) end
      after = leader.after
    until leader.token
    return leader
  end
end

--- Show another value.
-- @return true, or nil, err: code "refused" when we do not lead any more
function leadership:proclaim(value)
  check(value, "string", "value")
  local done <const>, err <const> = self.client:call("election.proclaim",
    { path = self.client:path(self.path), token = self.token, value = value })
  if not done then return nil, err end
  self.value = value
  return true
end

--- Step down: the next candidate is elected. Doing it twice is no error.
-- @return true, or nil, err
function leadership:resign()
  if self.resigned then return true end
  local done <const>, err <const> =
    self.client:call("election.resign", grant_of(self))
  if not done then return nil, err end
  self.resigned = true
  return true
end

-- What cannot be resigned now, is when the session ends.
function leadership:__close()
  self:resign()
end

-- --- configuration ---

local config <const> = {}
config.__index = config

-- A value that was written past the recipe first has to become a version: by a call.
local function read(client, name, args)
  local found <const>, err <const> = client:query(name, args)
  if err and err.code == "read_only" then return client:call(name, args) end
  return found, err
end

--- A value with numbered versions, by the path of its node.
function client:config(path)
  check(path, "string", "path")
  return setmetatable({ client = self, path = path, full = self:path(path) }, config)
end

--- Store a value as a new version.
-- @param data             a string
-- @param options.version  refused unless this is the newest version (0: there is none)
-- @param options.keep     how many versions to keep from now on
-- @return {version, zxid}, or nil, err
function config:put(data, options)
  check(data, "string", "data")
  local given <const> = check_options(options, { version = "integer", keep = "integer" })
  return self.client:call("config.put", { path = self.full, data = data,
                                          version = given.version, keep = given.keep })
end

--- A version and its value.
-- @param version  left out: the newest
-- @return {version, data, zxid, time, size, session}, or nil, err: code "no_node" when
--         nothing was ever stored, "refused" when that version is not kept
function config:get(version)
  check_optional(version, "integer", "version")
  local found <const>, err <const> =
    read(self.client, "config.get", { path = self.full, version = version })
  if found or err then return found, err end
  return nil, failure("no_node", "nothing was ever stored at " .. self.path)
end

--- The kept versions without their values, the oldest first.
-- @return array of {version, zxid, time, size, session}, or nil, err
function config:versions()
  return read(self.client, "config.versions", { path = self.full })
end

--- Store the value of a kept version once more, as a new version.
-- @return {version, zxid}, or nil, err
function config:rollback(version)
  check(version, "integer", "version")
  return self.client:call("config.rollback", { path = self.full, version = version })
end

--- The version after the one that you have, waiting for it if need be.
-- @param after            the version that you have; 0: none
-- @param options.wait_ms  how long to wait: err.code is "timeout" then
-- @return as get, with skipped = true when versions between are not kept any more; or nil,
--         err
function config:watch(after, options)
  check(after, "integer", "after")
  check_options(options, WAIT)
  return self.client:call("config.watch", { path = self.full, after = after }, options)
end

--- Each version in turn, the newest of now first: `for v in c:config(path):follow() do`.
-- It waits for as long as it takes, so it needs a session; an error of watch() is raised.
-- @param after  left out: begin with the newest. Else the version that you have
-- @return an iterator of what watch() returns
function config:follow(after)
  check_optional(after, "integer", "after")
  return function()
    local version, err
    if not after then version, err = self:get() end
    if after or (err and err.code == "no_node") then
      version, err = self:watch(after or 0)
    end
    if not version then error(err, 0) end
    after = version.version
    return version
  end
end

return tidelock
