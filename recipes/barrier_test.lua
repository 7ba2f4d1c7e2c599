-- barrier_test.lua -- the rules of barrier.lua.

local ENTER <const> = { path = "/b", count = 3 }

local function enter(client)
  return client:start("barrier.enter", ENTER)
end

local function leave(client, entered)
  return client:start("barrier.leave", entered:value())
end

local function clients_of(t, count)
  local clients <const> = {}
  for i = 1, count do clients[i] = t:session() end
  return clients
end

-- All three in; their calls.
local function fill(clients)
  local calls <const> = {}
  for i = 1, 3 do calls[i] = enter(clients[i]) end
  return calls
end

test("nobody begins before all are there", function(t)
  local clients <const> = clients_of(t, 3)
  local first <const>, second <const> = enter(clients[1]), enter(clients[2])
  t:ok(first:waits() and second:waits())
  local third <const> = enter(clients[3])
  t:equal(third:value().round, 1)
  t:equal(first:value().round, 1)
  t:equal(second:value().round, 1)
end)

test("nobody ends before all have left", function(t)
  local clients <const> = clients_of(t, 3)
  local calls <const> = fill(clients)
  local first <const> = leave(clients[1], calls[1])
  local second <const> = leave(clients[2], calls[2])
  t:ok(first:waits() and second:waits())
  t:equal(leave(clients[3], calls[3]):value(), { round = 1 })
  t:equal(first:value(), { round = 1 })
  t:equal(second:value(), { round = 1 })
  t:equal(t:children("/b/leavers"), {})
end)

test("who comes while a round is on waits for the next", function(t)
  local clients <const> = clients_of(t, 4)
  local calls <const> = fill(clients)
  local late <const> = enter(clients[4])
  t:equal(#t:children("/b/members"), 3)
  for i = 1, 3 do leave(clients[i], calls[i]) end
  t:ok(late:waits())
  t:equal(#t:children("/b/members"), 1)
  enter(clients[1])
  enter(clients[2])
  t:equal(late:value().round, 2)
end)

test("who dies in a round has left it", function(t)
  local clients <const> = clients_of(t, 3)
  local calls <const> = fill(clients)
  local first <const> = leave(clients[1], calls[1])
  local second <const> = leave(clients[2], calls[2])
  clients[3]:close()
  t:equal(first:value(), { round = 1 })
  t:equal(second:value(), { round = 1 })
end)

test("who dies or withdraws while entering makes room", function(t)
  local clients <const> = clients_of(t, 4)
  local first <const> = enter(clients[1])
  enter(clients[2]):cancel()
  clients[1]:close()
  t:ok(first:waits() or first:error() ~= nil)
  t:equal(#t:children("/b/members"), 0)
  local calls <const> = fill { clients[2], clients[3], clients[4] }
  for i = 1, 3 do t:equal(calls[i]:value().round, 1) end
end)

test("a round ends after as many runs as it has members, and a few", function(t)
  local count <const> = 60
  local clients <const>, calls <const> = clients_of(t, count), {}
  for i = 1, count do
    calls[i] = clients[i]:start("barrier.enter", { path = "/b", count = count })
  end
  local before <const> = t:runs()
  for i = 1, count do leave(clients[i], calls[i]) end
  t:ok(t:runs() - before <= 4 * count, (t:runs() - before) .. " runs")
end)

test("how many it takes is one number for all", function(t)
  enter(t:session())
  local other <const> = t:session():start("barrier.enter", { path = "/b", count = 4 })
  t:refused(other, "the barrier takes 3, not 4")
end)

test("rounds go on over changes of leader, whoever comes first", function(t)
  local clients <const> = clients_of(t, 3)
  for round = 1, 10 do
    local calls <const>, left <const> = {}, {}
    local first <const> = t:random(3)
    for i = 0, 2 do
      calls[(first + i) % 3 + 1] = enter(clients[(first + i) % 3 + 1])
      t:new_leader()
    end
    for i = 1, 3 do t:equal(calls[i]:value().round, round) end
    for i = 1, 3 do
      left[i] = leave(clients[i], calls[i])
      t:new_leader()
    end
    for i = 1, 3 do t:equal(left[i]:value().round, round) end
  end
end)
