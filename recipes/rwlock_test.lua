-- rwlock_test.lua -- the rules of rwlock.lua.

local LOCK <const> = { path = "/l" }

local function read(client) return client:start("rwlock.read", LOCK) end
local function write(client) return client:start("rwlock.write", LOCK) end

local function release(t, call)
  return t:call("rwlock.release", call:value())
end

-- W1.
local function check(t)
  local state <const> = t:call("rwlock.state", LOCK)
  t:ok(state.readers == 0 or state.writer == nil, "a writer among readers")
end

test("readers read together, a writer writes alone", function(t)
  local s <const> = t:session()
  local first <const>, second <const> = read(s), read(s)
  local writer <const> = write(s)
  t:ok(first:value().token < second:value().token)
  t:ok(writer:waits())
  release(t, first)
  t:ok(writer:waits())
  release(t, second)
  t:equal(writer:value().path, "/l/writer")
  t:ok(writer:value().token > second:value().token)
  t:ok(read(s):waits())
end)

test("all are served in the order in which they came, neighbouring readers together",
     function(t)
  local s <const> = t:session()
  local w1 <const>, r1 <const>, r2 <const>, w2 <const>, r3 <const> =
    write(s), read(s), read(s), write(s), read(s)
  release(t, w1)
  t:ok(not r1:waits() and not r2:waits() and w2:waits() and r3:waits())
  release(t, r1)
  release(t, r2)
  t:ok(not w2:waits() and r3:waits())
  release(t, w2)
  t:ok(not r3:waits())
end)

test("a reader becomes the writer, before all who wait", function(t)
  local s <const> = t:session()
  local r1 <const>, r2 <const> = read(s), read(s)
  local w <const> = write(s)
  local up <const> = s:start("rwlock.upgrade", r1:value())
  t:ok(up:waits())
  t:refused(s:start("rwlock.upgrade", r2:value()), "another reader is to become the writer")
  release(t, r2)
  t:equal(up:value().path, "/l/writer")
  t:ok(up:value().token > r1:value().token)
  t:ok(w:waits())
  t:equal(release(t, r1), { released = false })
  release(t, up)
  t:ok(not w:waits())
end)

test("an upgrade that is withdrawn leaves a reader", function(t)
  local s <const> = t:session()
  local r1 <const>, r2 <const> = read(s), read(s)
  local up <const> = s:start("rwlock.upgrade", r1:value())
  t:ok(read(s):waits())
  up:cancel()
  t:equal(t:call("rwlock.state", LOCK).readers, 3)
  release(t, r2)
  t:equal(release(t, r1), { released = true })
end)

test("a writer becomes a reader, and readers come in", function(t)
  local s <const> = t:session()
  local w <const>, r <const>, later <const> = write(s), read(s), write(s)
  local down <const> = s:call("rwlock.downgrade", w:value())
  t:ok(down.token > w:value().token)
  t:ok(not r:waits() and later:waits())
  t:refused(s:start("rwlock.downgrade", down), "no writer's hold")
  t:refused(s:start("rwlock.downgrade", w:value()), "(any more)")
end)

test("the dead hold nothing and hold nobody up", function(t)
  local a <const>, b <const>, c <const> = t:session(), t:session(), t:session()
  local r <const> = read(a)
  write(b)
  local last <const> = read(c)
  t:ok(last:waits())
  b:close()
  t:ok(not last:waits())
  local up <const> = c:start("rwlock.upgrade", last:value())
  t:ok(up:waits())
  a:close()
  t:equal(up:value().path, "/l/writer")
  t:equal(release(t, r), { released = false })
end)

test("try does not wait", function(t)
  local s <const> = t:session()
  local w <const> = write(s)
  t:equal(s:call("rwlock.read", { path = "/l", try = true }), nil)
  release(t, w)
  local r <const> = s:call("rwlock.read", { path = "/l", try = true })
  t:equal(s:call("rwlock.write", { path = "/l", try = true }), nil)
  read(s)
  t:equal(s:call("rwlock.upgrade", { path = r.path, token = r.token, try = true }), nil)
end)

test("never a writer among readers, and nobody waits for nobody", function(t)
  local clients <const>, held <const> = {}, {}
  for i = 1, 4 do clients[i] = t:session() end
  for _ = 1, 250 do
    local i <const>, what <const> = t:random(4), t:random(9)
    if what <= 3 then
      held[#held + 1] = read(clients[i])
    elseif what <= 5 then
      held[#held + 1] = write(clients[i])
    elseif what == 6 then
      clients[i]:close()
      clients[i] = t:session()
    elseif what == 7 then
      t:new_leader()
    elseif #held > 0 then
      local call <const> = table.remove(held, t:random(#held))
      if call:waits() then call:cancel() elseif not call:error() then release(t, call) end
    end
    check(t)
    local state <const> = t:call("rwlock.state", LOCK)
    t:ok(state.waiting == 0 or state.readers > 0 or state.writer ~= nil)
  end
end)
