-- latch_test.lua -- the rules of latch.lua.

local LATCH <const> = { path = "/l" }

test("who waits is answered when all is done, not before", function(t)
  t:call("latch.create", { path = "/l", count = 2 })
  local waiting <const> = t:session():start("latch.wait", LATCH)
  t:equal(t:call("latch.count_down", LATCH), { left = 1, open = false })
  t:ok(waiting:waits())
  t:equal(t:call("latch.count_down", LATCH), { left = 0, open = true })
  t:equal(waiting:value(), { left = 0, open = true })
end)

test("an open latch stays open", function(t)
  t:call("latch.create", { path = "/l", count = 1 })
  t:call("latch.count_down", { path = "/l", by = 5 })
  t:equal(t:call("latch.count_down", LATCH), { left = 0, open = true })
  t:equal(t:call("latch.create", { path = "/l", count = 3 }), { left = 0, open = true })
  t:equal(t:call("latch.wait", LATCH), { left = 0, open = true })
  t:equal(t:query("latch.get", LATCH).value, { left = 0, open = true })
end)

test("counting wakes nobody but the last", function(t)
  t:call("latch.create", { path = "/l", count = 10 })
  for _ = 1, 20 do t:session():start("latch.wait", LATCH) end
  local before <const> = t:runs()
  for _ = 1, 9 do t:call("latch.count_down", LATCH) end
  t:equal(t:runs() - before, 9)
  t:call("latch.count_down", LATCH)
  t:equal(t:runs() - before, 30)
end)

test("a latch that was never made is refused", function(t)
  t:refused(t:start("latch.count_down", LATCH), "there is no latch /l")
  t:refused(t:start("latch.wait", LATCH), "there is no latch /l")
  t:refused(t:start("latch.create", { path = "/l", count = 0 }), "count must be 1 or more")
end)
