-- registry_test.lua -- the rules of registry.lua.

local function join(client, id, more)
  local args <const> = { path = "/g", id = id }
  for key, value in pairs(more or {}) do args[key] = value end
  return client:call("registry.join", args)
end

local function ids(t, more)
  local args <const> = { path = "/g" }
  for key, value in pairs(more or {}) do args[key] = value end
  local found <const> = {}
  for i, member in ipairs(t:call("registry.list", args).members) do found[i] = member.id end
  return found
end

test("a member is there while its session lives", function(t)
  local a <const>, b <const> = t:session(2000), t:session()
  join(a, "a", { data = "10.0.0.1:80" })
  join(b, "b")
  t:equal(ids(t), { "a", "b" })
  local one <const> = t:query("registry.get", { path = "/g", id = "a" }).value
  t:equal(one.data, "10.0.0.1:80")
  t:equal(one.state, "up")
  t:equal(one.session, a.id)
  a:vanish()
  t:advance(4000)
  t:equal(ids(t), { "b" })
  t:equal(t:call("registry.leave", { path = "/g", id = "b" }), { left = true })
  t:equal(t:call("registry.leave", { path = "/g", id = "b" }), { left = false })
end)

test("an id is one session's, until another takes it over", function(t)
  local a <const>, b <const> = t:session(), t:session()
  local first <const> = join(a, "x")
  t:equal(join(a, "x", { data = "new" }).token, first.token)
  local call <const> = b:start("registry.join", { path = "/g", id = "x" })
  t:refused(call, "x is a member of another session")
  t:equal(call:error().details, { session = a.id })
  local second <const> = join(b, "x", { take_over = true })
  t:ok(second.token > first.token)
  t:equal(t:call("registry.leave", { path = "/g", id = "x", token = first.token }),
          { left = false })
  t:equal(ids(t), { "x" })
end)

test("states are told and asked for", function(t)
  local s <const> = t:session()
  for _, id in ipairs { "a", "b", "c" } do join(s, id, { data = id }) end
  t:call("registry.update", { path = "/g", id = "b", state = "draining" })
  t:equal(ids(t, { state = "up" }), { "a", "c" })
  t:equal(t:call("registry.get", { path = "/g", id = "b" }).data, "b")
  t:refused(t:start("registry.update", { path = "/g", id = "b", state = "ill" }),
            "state must be up, draining or down")
  t:refused(t:start("registry.update", { path = "/g", id = "z" }), "there is no member z")
end)

test("who follows the group hears of each change, and of nothing else", function(t)
  local s <const>, dying <const> = t:session(), t:session()
  local list = t:call("registry.list", { path = "/g" })
  local function next_change(change)
    local call <const> = s:start("registry.list", { path = "/g", version = list.version })
    t:ok(call:waits())
    change()
    local found <const> = call:value()
    t:ok(found.version > list.version)
    list = found
    return #found.members
  end
  t:equal(next_change(function() join(s, "a") end), 1)
  t:equal(next_change(function() join(dying, "b") end), 2)
  t:equal(next_change(function() join(s, "a", { data = "2" }) end), 2)
  t:equal(next_change(function()
    t:call("registry.update", { path = "/g", id = "b", state = "down" })
  end), 2)
  t:equal(next_change(function() dying:close() end), 1)
  t:equal(next_change(function()
    t:call("registry.leave", { path = "/g", id = "a" })
  end), 0)
end)

test("a large group is listed page by page", function(t)
  local s <const>, seen <const> = t:session(), {}
  for i = 1, 25 do join(s, string.format("m%02d", i)) end
  local after, more = nil, true
  while more do
    local page <const> = t:call("registry.list", { path = "/g", after = after, limit = 10 })
    for _, member in ipairs(page.members) do seen[#seen + 1] = member.id end
    after, more = seen[#seen], page.more
  end
  t:equal(#seen, 25)
  t:equal(seen[25], "m25")
end)

test("what cannot be a member is refused", function(t)
  local s <const> = t:session()
  t:refused(s:start("registry.join", { path = "/g", id = "a/b" }),
            "id must be a name without /")
  t:refused(s:start("registry.join", { path = "/g", id = "" }), "id must be a name")
  t:refused(t:start("registry.join", { path = "/g", id = "a" }), "a member needs a session")
  t:refused(s:start("registry.join", { path = "/g", id = "a", data = ("x"):rep(5000) }),
            "data is longer than")
end)
