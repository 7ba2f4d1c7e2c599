-- semaphore_test.lua -- the rules of semaphore.lua.

local function acquire(client, weight)
  return client:start("semaphore.acquire", { path = "/s", limit = 3, weight = weight })
end

local function release(client, call)
  return client:call("semaphore.release", call:value())
end

test("so many hold it at a time, and the next in the order in which they came", function(t)
  local calls <const>, client <const> = {}, t:session()
  for i = 1, 5 do calls[i] = acquire(client) end
  for i = 1, 3 do t:equal(t:stat(calls[i]:value().path).czxid, calls[i]:value().token) end
  t:ok(calls[4]:waits() and calls[5]:waits())
  t:equal(release(client, calls[2]), { released = true })
  t:ok(not calls[4]:waits() and calls[5]:waits())
  t:equal(release(client, calls[2]), { released = false })
  t:ok(calls[5]:waits())
end)

test("weights count", function(t)
  local client <const> = t:session()
  local heavy <const>, light <const> = acquire(client, 2), acquire(client, 1)
  local second <const> = acquire(client, 2)
  t:ok(second:waits())
  release(client, light)
  t:ok(second:waits(), "one of three is free, and two are wanted")
  release(client, heavy)
  t:ok(not second:waits())
  t:equal(t:call("semaphore.state", { path = "/s" }),
          { limit = 3, used = 2, holders = 1, waiting = 0 })
end)

test("a heavy one is not passed by those behind it", function(t)
  local client <const> = t:session()
  local first <const> = acquire(client, 2)
  local heavy <const>, light <const> = acquire(client, 3), acquire(client, 1)
  t:ok(heavy:waits() and light:waits())
  release(client, first)
  t:ok(not heavy:waits() and light:waits())
  release(client, heavy)
  t:ok(not light:waits())
end)

test("the dead give back what they held, and their places", function(t)
  local a <const>, b <const>, c <const> = t:session(), t:session(), t:session()
  acquire(a, 3)
  acquire(b, 3)
  local last <const> = acquire(c, 3)
  b:close()
  t:ok(last:waits())
  a:close()
  t:ok(not last:waits())
end)

test("try does not wait, and withdrawing leaves the queue", function(t)
  local client <const> = t:session()
  acquire(client, 3)
  t:equal(client:call("semaphore.acquire", { path = "/s", try = true }), nil)
  acquire(client, 1):cancel()
  t:equal(t:children("/s/queue"), {})
  t:equal(t:children("/s/calls"), {})
end)

test("the limit is one number for all, until it is changed", function(t)
  local client <const> = t:session()
  t:refused(client:start("semaphore.acquire", { path = "/s" }), "limit is missing")
  acquire(client)
  t:refused(client:start("semaphore.acquire", { path = "/s", limit = 4 }),
            "the limit is 3, not 4")
  t:refused(client:start("semaphore.acquire", { path = "/s", weight = 4 }),
            "more than the limit")
  local waiting <const> = acquire(client, 3)
  t:equal(t:call("semaphore.resize", { path = "/s", limit = 2 }), { limit = 2, used = 1 })
  t:ok(waiting:waits(), "it is wanted that the limit is raised again")
  t:equal(t:call("semaphore.resize", { path = "/s", limit = 4 }), { limit = 4, used = 1 })
  t:ok(waiting:value().token > 0)
end)

test("never more than the limit, whatever happens", function(t)
  local clients <const>, held <const> = {}, {}
  for i = 1, 4 do clients[i] = t:session() end
  for _ = 1, 200 do
    local i <const> = t:random(4)
    local what <const> = t:random(8)
    if what <= 5 then
      held[#held + 1] = acquire(clients[i], t:random(3))
    elseif what == 6 then
      clients[i]:close()
      clients[i] = t:session()
    elseif what == 7 then
      t:new_leader()
    elseif #held > 0 then
      local call <const> = held[t:random(#held)]
      if not call:waits() and not call:error() then release(t, call) end
    end
    local state <const> = t:call("semaphore.state", { path = "/s" })
    t:ok(not state or state.used <= 3)
    t:ok(not state or state.used == 3 or state.waiting == 0 or state.holders > 0)
  end
end)
