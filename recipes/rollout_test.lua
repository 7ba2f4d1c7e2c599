-- rollout_test.lua -- the rules of rollout.lua.

local function start(t, percent)
  t:call("config.put", { path = "/c", data = "old" })
  t:call("rollout.start", { path = "/c", data = "new", percent = percent })
end

local function get(t, member)
  return t:query("rollout.get", { path = "/c", member = member }).value
end

-- How many of a thousand members get the new value.
local function chosen(t)
  local found <const> = {}
  for i = 1, 1000 do
    local value <const> = get(t, "host-" .. i)
    t:equal(value.data, value.new and "new" or "old")
    if value.new then found[#found + 1] = i end
  end
  return found
end

test("about so many get the new value, and more only adds members", function(t)
  start(t, 20)
  local some <const> = chosen(t)
  t:ok(#some > 150 and #some < 250, #some .. " of 1000")
  t:equal(t:call("rollout.widen", { path = "/c", percent = 50 }),
          { percent = 50, before = 20 })
  local more <const>, is_in <const> = chosen(t), {}
  t:ok(#more > 440 and #more < 560, #more .. " of 1000")
  for _, i in ipairs(more) do is_in[i] = true end
  for _, i in ipairs(some) do t:ok(is_in[i], "host-" .. i .. " was chosen before") end
end)

test("0 percent is nobody, 100 is everybody", function(t)
  start(t, 0)
  t:equal(#chosen(t), 0)
  t:call("rollout.widen", { path = "/c", percent = 100 })
  t:equal(#chosen(t), 1000)
end)

test("finished, it is a version; stopped, nothing has changed", function(t)
  start(t, 10)
  t:equal(t:call("rollout.stop", { path = "/c" }), { stopped = true })
  t:equal(t:call("rollout.stop", { path = "/c" }), { stopped = false })
  t:equal(get(t, "host-1").data, "old")
  t:call("rollout.start", { path = "/c", data = "new", percent = 10 })
  t:equal(t:call("rollout.finish", { path = "/c" }).version, 2)
  t:equal(get(t, "host-1"), { data = "new", new = false, after = get(t, "x").after })
  t:equal(t:call("config.get", { path = "/c" }).data, "new")
end)

test("a member that follows hears of every change", function(t)
  start(t, 0)
  local s <const> = t:session()
  local value = get(t, "host-1")
  local function next_value(change)
    local args <const> = { path = "/c", member = "host-1", after = value.after }
    local call <const> = s:start("rollout.get", args)
    t:ok(call:waits())
    change()
    value = call:value()
    return value.data
  end
  t:equal(next_value(function()
    t:call("rollout.widen", { path = "/c", percent = 100 })
  end), "new")
  t:equal(next_value(function() t:call("rollout.stop", { path = "/c" }) end), "old")
  t:equal(next_value(function()
    t:call("config.put", { path = "/c", data = "third" })
  end), "third")
end)

test("what cannot be rolled out is refused", function(t)
  t:refused(t:start("rollout.start", { path = "/c", data = "x", percent = 1 }),
            "there is no configuration at /c")
  start(t, 1)
  local again <const> = t:start("rollout.start", { path = "/c", data = "x", percent = 1 })
  t:refused(again, "a value is rolled out already")
  t:refused(t:start("rollout.widen", { path = "/c", percent = 101 }),
            "percent must be 0 to 100")
  t:call("rollout.stop", { path = "/c" })
  t:refused(t:start("rollout.finish", { path = "/c" }), "nothing is rolled out")
end)
