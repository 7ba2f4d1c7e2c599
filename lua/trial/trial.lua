-- trial.lua -- what the tests of a recipe are written with.
--
-- A test file calls test(name, function(t) ... end) for each rule. Each test has a cluster
-- of its own in memory (lua/trial/trial.h) with the recipe in it; `t` is its world. Nothing
-- happens by itself: time stands still but for t:advance(), and a session is renewed until
-- s:vanish().

local host <const> = ... -- the functions of bindings.c

-- A value as text: tables with their keys in order.
local function show(value)
  if type(value) == "string" then return '"' .. value .. '"' end
  if type(value) ~= "table" then return value == null and "null" or tostring(value) end
  local parts <const> = {}
  for key, one in pairs(value) do
    parts[#parts + 1] = (math.type(key) and "" or key .. " = ") .. show(one)
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, one in pairs(a) do
    if not same(one, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- --- calls ---

local call_methods <const> = {}

--- true while the call waits for something to change.
function call_methods:waits()
  return host.state(self.handle) == "waits"
end

--- What the call was answered; fails the test when it waits or was refused.
function call_methods:value()
  local state <const>, value <const>, message <const> = host.state(self.handle)
  if state == "done" then return value end
  if state == "waits" then error(self.name .. " waits", 2) end
  error(self.name .. ": " .. message, 2)
end

--- {name, message, details} of a call that was refused, else nil.
function call_methods:error()
  local state <const>, name <const>, message <const>, details <const> = host.state(self.handle)
  if state ~= "failed" then return nil end
  return { name = name, message = message, details = details }
end

--- The client withdraws the call.
function call_methods:cancel()
  host.cancel(self.handle)
end

local function with(methods, object)
  for name, method in pairs(methods) do object[name] = method end
  return object
end

local function call_of(name, handle)
  return with(call_methods, { name = name, handle = handle })
end

-- --- what a client can do, with a session or without ---

local client_methods <const> = {}

--- Calls a recipe's function. timeout_ms: withdrawn after so long; left out: never.
function client_methods:start(name, args, timeout_ms)
  return call_of(name, host.call(self.id, name, args, timeout_ms or 0))
end

--- Calls it and returns the value; fails the test if it waits or is refused.
function client_methods:call(name, args)
  return self:start(name, args):value()
end

--- Creates a node; flags as of tx:create(). Returns its path.
function client_methods:create(path, data, flags)
  return call_of("create " .. path, host.create(self.id, path, data, flags)):value()
end

function client_methods:set(path, data)
  return call_of("set " .. path, host.set(self.id, path, data)):value()
end

function client_methods:delete(path)
  return call_of("delete " .. path, host.delete(self.id, path)):value()
end

local session_methods <const> = {}

--- The client closes its session.
function session_methods:close()
  host.close(self.id)
end

--- The client dies: its session ends when its timeout is over (t:advance).
function session_methods:vanish()
  host.vanish(self.id)
end

-- --- the world ---

local world <const> = with(client_methods, { id = 0 })

--- A new session; timeout_ms: 10000 if left out.
function world:session(timeout_ms)
  local session <const> = with(session_methods, with(client_methods, {}))
  session.id = host.open(timeout_ms or 10000)
  return session
end

--- Runs a function to read only; {value} or {error = {name, message, details}}.
function world:query(name, args)
  local state <const>, value <const>, message <const>, details <const> = host.query(name, args)
  if state == "done" then return { value = value } end
  return { error = { name = value, message = message, details = details } }
end

--- The data of a node, its stat, whether it is there, the names of its children.
function world:get(path) return (host.read(path)) end
function world:stat(path) return select(2, host.read(path)) end
function world:exists(path) return self:stat(path) ~= nil end
function world:children(path) return host.children(path) end

--- Lets time pass. What is due happens in its order.
function world:advance(ms) host.advance(ms) end
--- The leader dies; calls that wait are sent again to its successor, as clients do it.
function world:new_leader() host.new_leader() end
--- The cluster's time, milliseconds of UTC.
function world:now() return host.now() end
--- How many times recipe functions ran since the test began.
function world:runs() return host.runs() end

--- The test fails unless got and want are the same, tables by what is in them.
function world:equal(got, want, text)
  if same(got, want) then return end
  error((text and text .. ": " or "") .. show(got) .. " is not " .. show(want), 2)
end

function world:ok(value, text)
  if not value then error(text or "that is false", 2) end
end

--- The test fails unless the call was refused with `text` in its name or message.
function world:refused(call, text)
  local refusal <const> = call:error()
  if not refusal then error(call.name .. " was not refused", 2) end
  local said <const> = refusal.message -- begins with the name
  if not said:find(text, 1, true) then error("refused with " .. show(said) .. ", not " .. show(text), 2) end
end

--- An integer of 1 .. n, the same in every run with the same seed.
function world:random(n)
  self.seed = (self.seed * 6364136223846793005 + 1442695040888963407)
  return ((self.seed >> 33) % n) + 1
end

-- --- running ---

local tests <const> = {}

return {
  --- For the test file.
  test = function(name, run) tests[#tests + 1] = { name = name, run = run } end,

  --- For the runner: the name of test i, or nil; and running it.
  name = function(i) return tests[i] and tests[i].name end,
  run = function(i, seed)
    world.seed = seed
    tests[i].run(world)
  end,
}
