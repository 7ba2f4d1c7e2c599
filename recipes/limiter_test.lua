-- limiter_test.lua -- the rules of limiter.lua.

local function take(t, cost)
  return t:call("limiter.take", { path = "/r", rate = 10, burst = 5, cost = cost })
end

test("a full bucket gives its burst at once, and then at its rate", function(t)
  for i = 1, 5 do t:equal(take(t), { allowed = true, left = 5 - i, wait_ms = 0 }) end
  local refused <const> = take(t)
  t:equal(refused.allowed, false)
  t:ok(refused.wait_ms > 0 and refused.wait_ms <= 100, "a token flows in every 100 ms")
  t:advance(refused.wait_ms)
  t:equal(take(t).allowed, true)
  t:equal(take(t).allowed, false)
end)

test("what is refused takes nothing", function(t)
  take(t, 4)
  t:equal(take(t, 3).allowed, false)
  t:equal(take(t, 1).allowed, true)
end)

test("never more than burst and rate together, however it is asked", function(t)
  local given, ms = 0, 0
  for _ = 1, 400 do
    local pause <const> = t:random(60) - 1
    t:advance(pause)
    ms = ms + pause
    local cost <const> = t:random(3)
    if take(t, cost).allowed then given = given + cost end
    t:ok(given <= 5 + ms * 10 // 1000 + 1, given .. " in " .. ms .. " ms")
  end
  t:ok(given >= ms * 10 // 1000 - 5, "and not much less when more is asked for")
end)

test("a bucket that was left alone is full, and not more", function(t)
  take(t, 5)
  t:advance(600000)
  t:equal(take(t, 5).allowed, true)
  t:equal(take(t).allowed, false)
end)

test("numbers that make no sense are refused", function(t)
  t:refused(t:start("limiter.take", { path = "/r", rate = 0 }), "rate must be 1 to")
  t:refused(t:start("limiter.take", { path = "/r", rate = 1, cost = 2 }),
            "cost 2 is more than the bucket holds: 1")
  t:create("/text", "abc")
  t:refused(t:start("limiter.take", { path = "/text", rate = 1 }), "/text is no bucket")
  t:create("/counter", "7")
  t:refused(t:start("limiter.take", { path = "/counter", rate = 1 }), "/counter is no bucket")
end)
