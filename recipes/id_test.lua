-- id_test.lua -- the rules of id.lua.

test("numbers for good are given once, in a row", function(t)
  t:equal(t:call("id.next", { path = "/n" }), { first = 1, last = 1 })
  t:equal(t:call("id.next", { path = "/n", count = 100 }), { first = 2, last = 101 })
  t:equal(t:call("id.next", { path = "/n" }), { first = 102, last = 102 })
end)

test("numbers do not begin anew when there is none left", function(t)
  t:create("/n", tostring(math.maxinteger - 1))
  t:refused(t:start("id.next", { path = "/n", count = 2 }), "no number left")
  t:equal(t:call("id.next", { path = "/n" }).last, math.maxinteger)
  t:refused(t:start("id.next", { path = "/n" }), "no number left")
  t:refused(t:start("id.next", { path = "/n", count = 0 }), "count must be 1 to")
end)

local POOL <const> = { path = "/p", size = 2 }

local function lease(client)
  return client:start("id.lease", POOL)
end

test("a leased number is the lowest free one, and one session's", function(t)
  local a <const>, b <const> = t:session(), t:session()
  local first <const> = lease(a):value()
  t:equal(first.number, 0)
  t:equal(lease(b):value().number, 1)
  t:equal(t:stat(first.path).czxid, first.token)
  t:equal(a:call("id.release", { path = first.path, token = first.token }),
          { released = true })
  t:equal(lease(b):value().number, 0)
  t:equal(a:call("id.release", { path = first.path, token = first.token }),
          { released = false })
end)

test("who waits gets the number of who goes, first come first served", function(t)
  local a <const>, b <const>, c <const> = t:session(), t:session(), t:session()
  lease(a)
  lease(a)
  local first <const>, second <const> = lease(b), lease(c)
  t:ok(first:waits() and second:waits())
  a:close()
  t:equal(first:value().number, 0)
  t:equal(second:value().number, 1)
  t:equal(b:call("id.lease", { path = "/p", size = 2, try = true }), nil)
end)

test("a call that is withdrawn leaves the queue", function(t)
  local a <const>, b <const> = t:session(), t:session()
  lease(a)
  local held <const> = lease(a):value()
  lease(b):cancel()
  t:equal(t:children("/p/queue"), {})
  local last <const> = lease(b)
  a:call("id.release", { path = held.path, token = held.token })
  t:equal(last:value().number, held.number)
end)
