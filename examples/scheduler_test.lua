-- scheduler_test.lua -- the rules of scheduler.lua.

local HOUR <const>, DAY <const> = 3600000, 86400000

local function put(t, name, every, offset)
  return t:call("scheduler.put", { path = "/s", name = name, every = every, offset = offset,
                                   data = "do " .. name }).due
end

local function claim(client)
  return client:call("scheduler.claim", { path = "/s" })
end

local function done(client, run)
  local args <const> = { path = "/s", name = run.name, token = run.token }
  return client:call("scheduler.done", args).done
end

test("a job is due at its time, and then at the next", function(t)
  local worker <const> = t:session()
  local due <const> = put(t, "report", DAY, 3 * HOUR)
  t:equal((due - 3 * HOUR) % DAY, 0)
  t:ok(due > t:now() and due <= t:now() + DAY)
  t:ok(claim(worker).wait_ms > 0)
  t:advance(due - t:now())
  local run <const> = claim(worker)
  t:equal({ run.name, run.data, run.due }, { "report", "do report", due })
  t:equal(done(worker, run), true)
  t:ok(claim(worker).wait_ms > 0)
  t:advance(due + DAY - t:now())
  t:equal(claim(worker).due, due + DAY)
end)

test("one worker runs it, however many ask", function(t)
  put(t, "report", 1000)
  t:advance(1000)
  local runs = 0
  for _ = 1, 10 do
    if claim(t:session()).name then runs = runs + 1 end
  end
  t:equal(runs, 1)
end)

test("the job of a worker that died is another's", function(t)
  local dead <const>, heir <const> = t:session(2000), t:session()
  put(t, "report", HOUR)
  t:advance(HOUR)
  local run <const> = claim(dead)
  dead:vanish()
  t:equal(claim(heir).wait_ms, 1000, "ask again soon: it may come back")
  t:advance(4000)
  local again <const> = claim(heir)
  t:equal(again.due, run.due)
  t:equal(done(heir, run), false)
  t:equal(done(heir, again), true)
end)

test("what was missed is not made up", function(t)
  local worker <const> = t:session()
  put(t, "report", 1000)
  t:advance(60000)
  t:equal(done(worker, claim(worker)), true)
  t:ok(claim(worker).wait_ms > 0)
end)

test("the job that is due first is run first, and one that is removed never", function(t)
  local worker <const> = t:session()
  put(t, "late", HOUR, 2)
  put(t, "early", HOUR, 1)
  put(t, "gone", HOUR, 0)
  t:equal(t:call("scheduler.remove", { path = "/s", name = "gone" }), { removed = true })
  t:advance(HOUR - t:now() % HOUR + 2)
  t:equal(claim(worker).name, "early")
  t:equal(claim(worker).name, "late")
  t:ok(claim(worker).wait_ms > 0)
end)
