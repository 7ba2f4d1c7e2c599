-- lock_test.lua -- what time and dying sessions do to lock.lua. Its other rules, and a
-- storm, are in tests/unit/t_lock.c.

local function acquire(client, more)
  local args <const> = { path = "/l" }
  for name, value in pairs(more or {}) do args[name] = value end
  return client:start("lock.acquire", args)
end

test("after its holder expired a lock stays taken for the delay", function(t)
  local dead <const>, heir <const> = t:session(2000), t:session()
  local first <const> = acquire(dead):value()
  local second <const> = acquire(heir)
  dead:vanish()
  t:advance(3000)
  t:ok(second:waits(), "the session has expired; the lock lingers")
  t:equal(t:call("lock.holder", { path = "/l" }), nil)
  t:equal(heir:call("lock.release", first), { released = false })
  t:ok(second:waits())
  t:advance(4500)
  t:ok(second:value().token > first.token)
end)

test("the delay is the holder's word, and 0 is none", function(t)
  local dead <const>, heir <const> = t:session(2000), t:session()
  acquire(dead, { delay = 0 })
  local second <const> = acquire(heir)
  dead:vanish()
  t:advance(2500)
  t:ok(not second:waits())
  t:refused(acquire(heir, { delay = 60001 }), "delay must be 0 to 60000")
end)

test("a release, or a session that is closed, frees the lock at once", function(t)
  local a <const>, b <const>, c <const> = t:session(), t:session(), t:session()
  local first <const>, second <const>, third <const> = acquire(a), acquire(b), acquire(c)
  a:call("lock.release", first:value())
  t:ok(not second:waits() and third:waits())
  b:close()
  t:ok(not third:waits())
end)

test("a lock that lingers does so under the next leader, too", function(t)
  local dead <const>, heir <const> = t:session(2000), t:session()
  acquire(dead)
  local second <const> = acquire(heir)
  dead:vanish()
  t:advance(3000)
  t:new_leader()
  t:ok(second:waits())
  t:advance(6000)
  t:ok(not second:waits())
end)
