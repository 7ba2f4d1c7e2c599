-- queue_test.lua -- the rules of queue.lua.

local function add(t, value, priority)
  return t:call("queue.add", { path = "/q", value = value, priority = priority })
end

local function take(client)
  return client:call("queue.take", { path = "/q", try = true })
end

local function value_of(answer)
  return answer and answer.value
end

test("items are taken in the order in which they were added", function(t)
  for i = 1, 3 do add(t, "item " .. i) end
  for i = 1, 3 do t:equal(value_of(take(t)), "item " .. i) end
  t:equal(take(t), nil)
end)

test("a lower priority is taken first", function(t)
  add(t, "late", 900)
  add(t, "usual")
  add(t, "early", 3)
  for _, value in ipairs { "early", "usual", "late" } do
    t:equal(value_of(take(t)), value)
  end
end)

test("takers are served in the order in which they came, one an item", function(t)
  local calls <const> = {}
  for i = 1, 5 do calls[i] = t:session():start("queue.take", { path = "/q" }) end
  local before <const> = t:runs()
  add(t, "first")
  t:equal(calls[1]:value().value, "first")
  for i = 2, 5 do t:ok(calls[i]:waits()) end
  t:equal(t:runs() - before, 3, "add, the first taker, and the one who moves up")
  add(t, "second")
  t:equal(calls[2]:value().value, "second")
end)

test("nobody takes past those who wait", function(t)
  local waiting <const> = t:session():start("queue.take", { path = "/q" })
  add(t, "one")
  t:equal(waiting:value().value, "one")
  local second <const> = t:session():start("queue.take", { path = "/q" })
  t:equal(take(t:session()), nil)
  add(t, "two")
  t:equal(second:value().value, "two")
end)

test("a taker that dies or withdraws holds nobody up", function(t)
  local dead <const>, gone <const> = t:session(), t:session()
  dead:start("queue.take", { path = "/q" })
  local withdrawn <const> = gone:start("queue.take", { path = "/q" })
  local last <const> = t:session():start("queue.take", { path = "/q" })
  withdrawn:cancel()
  dead:close()
  add(t, "one")
  t:equal(last:value().value, "one")
  t:equal(t:children("/q/queue"), {})
  t:equal(t:children("/q/calls"), {})
end)

test("takers that wait keep their places over a change of leader", function(t)
  local first <const> = t:session():start("queue.take", { path = "/q" })
  local second <const> = t:session():start("queue.take", { path = "/q" })
  t:new_leader()
  add(t, "one")
  t:equal(first:value().value, "one")
  t:ok(second:waits())
  t:equal(#t:children("/q/queue"), 1)
end)

test("a bounded queue refuses what is too much", function(t)
  add(t, "one")
  local call <const> = t:start("queue.add", { path = "/q", value = "two", max = 1 })
  t:refused(call, "the queue is full: 1 items")
  t:equal(call:error().details, { size = 1 })
end)

test("a claimed item is gone when it is done", function(t)
  local worker <const> = t:session()
  add(t, "work")
  local claim <const> = worker:call("queue.claim", { path = "/q" })
  t:equal(claim.value, "work")
  t:equal(t:stat(claim.path).czxid, claim.token)
  t:equal(take(t), nil)
  local done <const> = { path = "/q", item = claim.item, token = claim.token }
  t:equal(worker:call("queue.done", done), { done = true })
  t:equal(worker:call("queue.done", done), { done = false })
  t:equal(t:call("queue.peek", { path = "/q" }), { size = 0, claimed = 0, waiting = 0 })
end)

test("the item of a worker that died is the next one for who waits", function(t)
  local worker <const>, heir <const> = t:session(2000), t:session()
  add(t, "work")
  local claim <const> = worker:call("queue.claim", { path = "/q" })
  local waiting <const> = heir:start("queue.claim", { path = "/q" })
  worker:vanish()
  t:advance(1900)
  t:ok(waiting:waits())
  t:advance(2000)
  t:equal(waiting:value().value, "work")
  t:ok(waiting:value().token > claim.token)
  local late <const> = { path = "/q", item = claim.item, token = claim.token }
  t:equal(t:call("queue.done", late), { done = false })
  t:equal(t:call("queue.peek", { path = "/q" }).claimed, 1)
end)

test("an item that is given back comes before all others", function(t)
  local worker <const> = t:session()
  add(t, "one")
  add(t, "two")
  local claim <const> = worker:call("queue.claim", { path = "/q" })
  t:equal(worker:call("queue.give_back",
                      { path = "/q", item = claim.item, token = claim.token }),
          { returned = true })
  t:equal(value_of(take(t)), "one")
  t:equal(value_of(take(t)), "two")
end)

test("no item is lost or taken twice, whoever dies", function(t)
  local sessions <const>, calls <const>, taken <const> = {}, {}, {}
  local added = 0
  for i = 1, 5 do sessions[i] = t:session() end
  for _ = 1, 300 do
    local i <const> = t:random(5)
    local what <const> = t:random(10)
    if what <= 4 then
      added = added + 1
      add(t, "item " .. added)
    elseif what <= 8 then
      calls[#calls + 1] = sessions[i]:start("queue.take", { path = "/q" })
    elseif what == 9 then
      t:new_leader()
    else
      sessions[i]:close()
      sessions[i] = t:session()
    end
  end
  local count = 0
  for _, call in ipairs(calls) do
    if not call:waits() and not call:error() then
      local value <const> = call:value().value
      t:ok(not taken[value], value .. " was taken twice")
      taken[value] = true
      count = count + 1
    end
  end
  t:equal(count + t:call("queue.peek", { path = "/q" }).size, added)
end)
