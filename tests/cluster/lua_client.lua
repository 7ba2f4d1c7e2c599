-- lua_client.lua -- every method of `require "tidelock"`, its errors, and a killed leader.
--
-- Run by lua.py, which sets TIDELOCK_SERVERS, and TIDELOCK and TIDELOCK_DIR for the command
-- that kills a server. Each rule has clients and nodes of its own.

local tidelock <const> = require "tidelock"

local rules <const> = {}

local function rule(name, run)
  rules[#rules + 1] = { name = name, run = run }
end

local function same(got, want, what)
  if got ~= want then
    error((what or "value") .. " is " .. tostring(got) .. ", but should be " ..
          tostring(want), 2)
  end
end

-- What a method returns when it fails: nil and an error with that code.
local function fails(code, got, err)
  same(got, nil, "what failed")
  same(type(err), "table", "type of the error")
  same(err.code, code, "code")
  same(tostring(err), code .. ": " .. err.message, "text")
end

-- A wrong type of argument is an error that names the argument.
local function raises(name, method, ...)
  local fine <const>, err <const> = pcall(method, ...)
  same(fine, false, "success")
  assert(tostring(err):find(name, 1, true), "the error does not name " .. name .. ": " ..
         tostring(err))
end

local function connect(session)
  return assert(tidelock.connect { session = session, timeout_ms = 30000 })
end

local function dev(verb, node)
  local command <const> = ("%s dev %s --dir '%s' --node %s >/dev/null"):format(
    os.getenv "TIDELOCK", verb, os.getenv "TIDELOCK_DIR", node)
  assert(os.execute("unset LD_PRELOAD; " .. command))
end

-- --- the tree ---

rule("a_node_is_created_read_changed_and_deleted", function()
  local c <close> = connect()
  local path <const>, made <const> = assert(c:create("/t/a", "one", { parents = true }))
  same(path, "/t/a")
  same(made.version, 0)
  local stat <const> = assert(c:set("/t/a", "two\0three", { version = 0 }))
  same(stat.version, 1)
  local data <const>, read <const> = assert(c:get("/t/a"))
  same(data, "two\0three")
  same(read.mzxid, stat.mzxid)
  same(read.dataLength, 9)
  same(assert(c:stat("/t/a")).czxid, made.czxid)
  same(c:delete("/t/a", { version = 1 }), true)
  fails("no_node", c:get("/t/a"))
end)

rule("null_data_is_tidelock_null", function()
  local c <close> = connect()
  assert(c:create("/t/null", nil, { parents = true }))
  same(assert(c:get("/t/null")), tidelock.null)
  assert(c:set("/t/null", ""))
  same(assert(c:get("/t/null")), "")
  assert(c:set("/t/null", tidelock.null))
  same(assert(c:get("/t/null")), tidelock.null)
end)

rule("children_come_in_pages", function()
  local c <close> = connect()
  for i = 1, 5 do
    local path <const> = assert(c:create("/t/list/n-", nil,
                                         { sequential = true, parents = true }))
    same(path, ("/t/list/n-%010d"):format(i - 1))
  end
  local names <const>, more <const> = assert(c:children("/t/list", { limit = 3 }))
  same(#names, 3)
  same(more, true)
  local rest <const>, others <const> = assert(c:children("/t/list", { after = names[3] }))
  same(table.concat(rest, " "), "n-0000000003 n-0000000004")
  same(others, false)
  same(#assert(c:children(("/t/list/" .. names[1]))), 0)
end)

rule("a_refusal_is_nil_and_an_error_that_reads_well", function()
  local c <close> = connect()
  assert(c:create("/t/e", "", { parents = true }))
  fails("node_exists", c:create("/t/e", ""))
  fails("bad_version", c:set("/t/e", "x", { version = 7 }))
  fails("bad_version", c:delete("/t/e", { version = 7 }))
  fails("no_node", c:stat("/t/none"))
  fails("no_node", c:children("/t/none"))
  fails("bad_path", c:get("no/slash"))
  fails("bad_path", c:get("/t/e\0/hidden"))
  fails("too_large", c:set("/t/e", ("x"):rep(2 << 20)))
  fails("no_recipe", c:call("nothing.here"))
  fails("no_function", c:call("lock.nothing"))
end)

rule("a_wrong_argument_is_an_error_that_names_it", function()
  local c <close> = connect()
  raises("path", c.get, c)
  raises("path", c.set, c, {}, "x")
  raises("data", c.set, c, "/t/e")
  raises("data", c.set, c, "/t/e", {})
  raises("version", c.set, c, "/t/e", "x", { version = "1" })
  raises("verzion", c.set, c, "/t/e", "x", { verzion = 1 })
  raises("options", c.set, c, "/t/e", "x", 5)
  raises("ephemeral", c.create, c, "/t/x", "", { ephemeral = 1 })
  raises("guard", c.set, c, "/t/e", "x", { guard = "lock" })
  raises("guard.token", c.set, c, "/t/e", "x", { guard = {} })
  raises("guard.path", c.set, c, "/t/e", "x", { guard = { token = 1 } })
  raises("limit", c.children, c, "/t", { limit = -1 })
  raises("function", c.call, c, nil)
  raises("wait_ms", c.call, c, "lock.holder", nil, { wait_ms = "soon" })
  raises("path", c.election, c)
  raises("value", c:election("/t/el").campaign, c:election("/t/el"), 5)
  raises("data", c:config("/t/cf").put, c:config("/t/cf"), {})
  raises("session", tidelock.connect, { session = "yes" })
  raises("timeout", tidelock.connect, { timeout = 5 })
  raises("client", c.get, {}, "/t/e")
end)

rule("what_cannot_be_reached_is_an_error_in_time", function()
  fails("config", tidelock.connect { servers = "not an address" })
  fails("config", tidelock.connect { session = 5 })
  fails("unreachable", tidelock.connect { servers = "127.0.0.1:1", timeout_ms = 300 })
  fails("wrong_cluster", tidelock.connect { cluster = "another" })
end)

-- --- recipes ---

local ECHO <const> = [[
local echo = {}
function echo.back(tx, args) return args end
function echo.kinds(tx, args)
  local kinds = {}
  for i, value in ipairs(args) do kinds[i] = math.type(value) or type(value) end
  return kinds
end
return echo
]]

rule("values_come_back_from_a_recipe_as_they_went", function()
  local c <close> = connect()
  assert(c:create("/tidelock/recipes/echo", ECHO, { parents = true }))
  for _, value in ipairs { true, false, 0, -1, math.mininteger, math.maxinteger, 1.5, "",
                           "text", "\xff\0bin", "Zürich" } do
    same(c:call("echo.back", value), value)
  end
  local none <const>, err <const> = c:call("echo.back", nil)
  same(none, nil)
  same(err, nil)
  local got <const> = assert(c:call("echo.back", { list = { 1, tidelock.null, "x" },
                                                   map = { [7] = { deep = true } } }))
  same(#got.list, 3)
  same(got.list[2], tidelock.null)
  same(got.map[7].deep, true)
  same(table.concat(assert(c:call("echo.kinds", { 1, 1.5, "s", {}, true })), " "),
       "integer float string table boolean")
  assert(c:call("echo.back", tidelock.array {}))
end)

rule("what_cannot_be_sent_is_an_error", function()
  local c <close> = connect()
  local circle <const> = {}
  circle[1] = circle
  raises("nested", c.call, c, "echo.back", circle)
  raises("function", c.call, c, "echo.back", print)
  raises("NaN", c.call, c, "echo.back", 0 / 0)
  raises("key", c.call, c, "echo.back", { [1.5] = 1 })
  raises("key", c.call, c, "echo.back", { [true] = 1 })
end)

-- --- locks ---

rule("a_lock_excludes_and_its_token_rises", function()
  local a <close>, b <const> = connect(true), connect(true)
  local first <const> = assert(a:lock("/t/lock"))
  fails("refused", b:lock("/t/lock", { try = true }))
  fails("timeout", b:lock("/t/lock", { wait_ms = 100 }))
  fails("timeout", b:lock("/t/lock", { wait_ms = 0 }))
  same(first:release(), true)
  same(first:release(), true)
  local second <const> = assert(b:lock("/t/lock", { try = true }))
  assert(second.token > first.token, "the token did not rise")
  b:close()
  fails("closed", second:release())
end)

rule("close_releases_a_lock_also_when_an_error_unwinds", function()
  local c <close> = connect(true)
  pcall(function()
    local lock <close> = assert(c:lock("/t/unwind"))
    error("on " .. lock.path)
  end)
  do
    local lock <close> = assert(c:lock("/t/unwind", { try = true }))
    same(lock.path, "/t/unwind/holder")
  end
  same(c:call("lock.holder", { path = "/t/unwind" }), nil)
end)

rule("a_guard_lets_a_write_pass_only_while_the_lock_is_held", function()
  local c <close> = connect(true)
  local lock <const> = assert(c:lock("/t/guard"))
  assert(c:create("/t/guarded", "a", { parents = true, guard = lock }))
  assert(c:set("/t/guarded", "b", { guard = { path = lock.path, token = lock.token } }))
  assert(lock:release())
  fails("guard_failed", c:set("/t/guarded", "c", { guard = lock }))
  fails("guard_failed", c:delete("/t/guarded", { guard = lock }))
  local put <const> = { path = "/t/gc", data = "" }
  fails("guard_failed", c:call("config.put", put, { guard = lock }))
  same(assert(c:get("/t/guarded")), "b")
end)

rule("a_lock_needs_a_session", function()
  local c <close> = connect()
  fails("config", c:lock("/t/lock"))
end)

-- --- elections ---

rule("one_leads_and_the_next_follows", function()
  local a <close> = connect(true)
  local b <close> = connect(true)
  local mine <const>, theirs <const> = a:election("/t/election"), b:election("/t/election")
  same(mine:observe().after, 0)
  fails("timeout", mine:observe(0, { wait_ms = 100 }))
  local first <const> = assert(mine:campaign("a:1"))
  local seen <const> = assert(theirs:observe(0))
  same(seen.value, "a:1")
  same(seen.token, first.token)
  fails("timeout", theirs:campaign("b:1", { wait_ms = 100 }))
  fails("refused", theirs:campaign("b:1", { try = true }))
  assert(first:proclaim("a:2"))
  same(assert(theirs:observe(seen.after)).value, "a:2")
  assert(b:create("/t/by-leader", "", { guard = first }))
  assert(first:resign())
  assert(first:resign())
  fails("refused", first:proclaim("a:3"))
end)

rule("a_query_reads_without_a_session_and_never_writes", function()
  local c <close> = connect()
  same(c:query("lock.holder", { path = "/t/query" }), nil)
  fails("read_only", c:query("lock.acquire", { path = "/t/query" }))
  fails("no_node", c:stat("/t/query"))
  fails("no_function", c:query("lock.nothing"))
  fails("no_recipe", c:query("nothing.here"))
  raises("function", c.query, c, nil)
  assert(c:create("/t/query", "plain", { parents = true }))
  local config <const> = c:config("/t/query")
  fails("read_only", c:query("config.get", { path = "/t/query" }))
  same(assert(config:get()).version, 1)
  same(assert(c:query("config.get", { path = "/t/query" })).data, "plain")
end)

rule("leaders_are_seen_one_after_the_other", function()
  local c <close> = connect(true)
  local election <const> = c:election("/t/leaders")
  local seen <const> = {}
  local term = assert(election:campaign("first"))
  for leader in election:leaders() do
    seen[#seen + 1] = leader.value
    if #seen == 2 then break end
    assert(term:resign())
    term = assert(election:campaign("second"))
  end
  same(table.concat(seen, " "), "first second")
  assert(term:resign())
end)

rule("close_resigns", function()
  local c <close> = connect(true)
  local election <const> = c:election("/t/resigns")
  do
    local term <close> = assert(election:campaign("x"))
    same(election:observe().token, term.token)
  end
  same(election:observe().after, 0)
end)

-- --- configuration ---

rule("configuration_has_versions", function()
  local c <close> = connect(true)
  local config <const> = c:config("/t/config")
  fails("no_node", config:get())
  same(assert(config:put("one")).version, 1)
  same(assert(config:put("two", { version = 1, keep = 5 })).version, 2)
  fails("refused", config:put("three", { version = 1 }))
  same(assert(config:get()).data, "two")
  same(assert(config:get(1)).data, "one")
  fails("refused", config:get(9))
  same(#assert(config:versions()), 2)
  same(assert(config:rollback(1)).version, 3)
  same(assert(config:watch(2)).data, "one")
  fails("timeout", config:watch(3, { wait_ms = 100 }))
end)

rule("versions_are_followed_one_after_the_other", function()
  local c <close> = connect(true)
  local config <const> = c:config("/t/follow")
  local seen <const> = {}
  assert(config:put("one"))
  assert(config:put("two"))
  for version in config:follow() do
    seen[#seen + 1] = version.version .. "=" .. version.data
    if #seen == 3 then break end
    assert(config:put("next-" .. #seen))
  end
  same(table.concat(seen, " "), "2=two 3=next-1 4=next-2")
  same(config:follow(1)().version, 2)
end)

rule("a_follower_raises_what_ends_it", function()
  local c <const> = connect(true)
  local nothing <const> = c:config("/t/follow-none"):follow()
  local leaders <const> = c:election("/t/leaders-none"):leaders()
  assert(c:close())
  for _, each in ipairs { nothing, leaders } do
    local fine <const>, err <const> = pcall(each)
    same(fine, false, "success")
    same(err.code, "closed")
  end
end)

-- --- the prefix, and weak reads ---

rule("a_prefix_stands_before_every_path", function()
  local all <close> = connect(true)
  assert(all:create("/t/apps/a", "", { parents = true }))
  local c <close> = assert(tidelock.connect { session = true, prefix = "/t/apps/a" })
  same(c:path("/x"), "/t/apps/a/x")
  same(assert(c:create("/x", "1")), "/x")
  same(assert(all:get("/t/apps/a/x")), "1")
  local lock <const> = assert(c:lock("/lock"))
  same(lock.path, "/lock/holder")
  same(assert(all:call("lock.holder", { path = "/t/apps/a/lock" })).token, lock.token)
  assert(c:set("/x", "2", { guard = lock }))
  assert(lock:release())
  local term <const> = assert(c:election("/leader"):campaign("me"))
  assert(c:set("/x", "3", { guard = term }))
  assert(term:proclaim("still me"))
  local seen <const> = assert(c:election("/leader"):observe())
  same(seen.value, "still me")
  assert(c:set("/x", "4", { guard = { path = seen.path, token = seen.token } }))
  assert(term:resign())
  assert(c:config("/settings"):put("blue"))
  same(assert(all:config("/t/apps/a/settings"):get()).data, "blue")
end)

-- --- watches ---

-- The next event that is not about the watch itself.
local function next_change(watch)
  while true do
    local event <const> = assert(watch:next(20000))
    if event.kind ~= "armed" and event.kind ~= "lagged" then return event end
  end
end

rule("a_watch_tells_each_change_in_order", function()
  local c <close> = connect()
  local watch <close> = assert(c:watch("/t/watched", { data = true, value = true }))
  same(assert(watch:next(20000)).kind, "armed")
  fails("timeout", watch:next(0))
  assert(c:create("/t/watched", "1", { parents = true }))
  assert(c:set("/t/watched", tidelock.null))
  assert(c:delete("/t/watched"))
  local created <const> = next_change(watch)
  same(created.kind .. created.path .. created.data, "created/t/watched1")
  same(next_change(watch).data, tidelock.null)
  same(next_change(watch).kind, "deleted")
  assert(watch:close())
  fails("closed", watch:next())
end)

rule("a_snapshot_of_a_tree_is_told_and_then_its_changes", function()
  local c <close> = connect()
  assert(c:create("/t/tree/a", "1", { parents = true }))
  local watch <close> = assert(c:watch("/t/tree", { recursive = true, snapshot = true, value = true }))
  local map <const>, kinds <const> = {}, {}
  repeat
    local event <const> = assert(watch:next(20000))
    kinds[#kinds + 1] = event.kind
    if event.kind == "node" then map[event.path] = event.data end
  until event.kind == "ready"
  same(table.concat(kinds, " "), "armed node node ready")
  same(map["/t/tree"], tidelock.null)
  same(map["/t/tree/a"], "1")
  assert(c:create("/t/tree/a/b", "2"))
  local created <const> = next_change(watch)
  same(created.kind .. created.path .. created.data, "created/t/tree/a/b2")
  assert(watch:zxid() >= created.zxid)
  fails("bad_option", c:watch("/t", { snapshot = true, children = true }))
end)

rule("a_watch_goes_on_from_an_earlier_life", function()
  local c <close> = connect()
  assert(c:create("/t/lives", "1", { parents = true }))
  local first <close> = assert(c:watch("/t/lives"))
  local since <const> = assert(first:next(20000)).zxid
  assert(first:close())
  assert(c:set("/t/lives", "2"))
  local second <close> = assert(c:watch("/t/lives", { since = since }))
  same(assert(second:next(20000)).kind, "changed")
  same(assert(second:next(20000)).kind, "armed")
end)

rule("a_watch_of_children_tells_of_them", function()
  local c <close> = connect()
  assert(c:create("/t/family", nil, { parents = true }))
  local watch <close> = assert(c:watch("/t/family", { children = true }))
  same(assert(watch:next(20000)).kind, "armed")
  assert(c:create("/t/family/child"))
  same(next_change(watch).kind, "children")
end)

-- Events come before the answer to the write that they tell of, so all are queued when the
-- last write is done: more than the queue holds.
rule("a_watch_that_nobody_reads_lags_instead_of_growing", function()
  local c <close> = connect()
  assert(c:create("/t/flood", "", { parents = true }))
  local watch <close> = assert(c:watch("/t/flood", { value = true }))
  same(assert(watch:next(20000)).kind, "armed")
  for i = 1, 20 do assert(c:set("/t/flood", ("%d "):format(i) .. ("x"):rep(1000000))) end
  same(assert(watch:next(0)).kind, "lagged")
  local last
  repeat
    local event <const> = watch:next(0)
    last = event or last
  until not event
  same(last.data:match "^%d+", "20")
end)

rule("a_watch_ends_with_its_client", function()
  local c <const> = connect()
  local watch <const> = assert(c:watch("/t/ends"))
  same(assert(watch:next(20000)).kind, "armed")
  c:close()
  fails("closed", watch:next())
  same(watch:close(), true)
end)

-- --- the client's life ---

rule("a_session_tells_how_it_does", function()
  local a <close> = connect(5000)
  local b <close> = connect()
  local state <const>, left_ms <const>, id <const> = a:session()
  same(state, "ok")
  assert(left_ms > 0 and left_ms <= 5000, "milliseconds left: " .. left_ms)
  assert(id ~= 0)
  same(b:session(), "none")
end)

rule("ephemeral_nodes_go_when_the_client_is_closed", function()
  local a <const>, b <close> = connect(true), connect()
  assert(a:create("/t/ephemeral", "", { ephemeral = true, parents = true }))
  same(assert(b:stat("/t/ephemeral")).ephemeralOwner, select(3, a:session()))
  same(a:close(), true)
  fails("no_node", b:stat("/t/ephemeral"))
end)

rule("after_close_every_method_fails_with_closed", function()
  local c <const> = connect(true)
  local election <const>, config <const> = c:election("/t/x"), c:config("/t/x")
  same(c:close(), true)
  same(c:close(), true)
  for name in ("get stat children create delete lock watch"):gmatch "%a+" do
    fails("closed", c[name](c, "/t/x"))
  end
  fails("closed", c:set("/t/x", ""))
  fails("closed", c:call("lock.holder"))
  fails("closed", c:session())
  fails("closed", election:campaign())
  fails("closed", election:observe())
  fails("closed", config:get())
  same(tostring(c), "tidelock client (closed)")
end)

rule("a_finalizer_that_closes_the_client_does_no_harm", function()
  local c <const> = connect()
  assert(c:create("/t/final", ("x"):rep(1000), { parents = true }))
  setmetatable({}, { __gc = function() c:close() end })
  local code
  repeat
    local data <const>, err <const> = c:get("/t/final")
    code = err and err.code
    if data then same(#data, 1000) end
    collectgarbage("step")
  until code
  same(code, "closed")
end)

-- --- killed servers ---

rule("reads_of_any_need_no_majority", function()
  raises("reads", tidelock.connect, { reads = "fast" })
  local c <close> = assert(tidelock.connect { reads = "any" })
  local strong <close> = assert(tidelock.connect { timeout_ms = 500 })
  assert(c:create("/t/any", "there", { parents = true }))
  dev("kill", 1)
  dev("kill", 2)
  local data <const>, err <const> = c:get("/t/any")
  local _ <const>, refused <const> = strong:get("/t/any")
  dev("restart", 1)
  dev("restart", 2)
  same(data or tostring(err), "there")
  same(refused and (refused.code == "no_quorum" or refused.code == "unreachable"), true)
end)

local WRITES <const> = 200

rule("a_leader_killed_under_writes_shows_no_error_and_doubles_none", function()
  local c <close> = connect(30000)
  local lock <close> = assert(c:lock("/t/kill/lock"))
  local watch <close> = assert(c:watch("/t/kill/n", { value = true }))
  same(assert(watch:next(20000)).kind, "armed")
  assert(c:create("/t/kill/n", "0", { parents = true }))
  for i = 1, WRITES do
    if i == WRITES // 2 then dev("kill", "leader") end
    same(assert(c:set("/t/kill/n", tostring(i), { guard = lock })).version, i, "version")
    assert(c:create("/t/kill/seq/n-", "", { sequential = true, parents = true }))
  end
  same(#assert(c:children("/t/kill/seq")), WRITES)
  same(next_change(watch).kind, "created")
  for i = 1, WRITES do same(next_change(watch).data, tostring(i), "change") end
end)

-- --- many nodes ---

rule("containers_and_ttls_are_asked_for_and_a_touch_renews", function()
  local c <close> = connect()
  assert(c:create("/many/c", nil, { parents = true, container = true }))
  assert(c:create("/many/c/t", "x", { ttl_ms = 200 }))
  same(assert(c:stat("/many/c")).container, 1)
  same(assert(c:touch("/many/c/t")).ttl, 200)
  local err
  repeat _, err = c:stat("/many/c/t") until err
  same(err.code, "no_node")
  fails("no_node", c:stat("/many/c"))
end)

rule("a_subtree_is_listed_copied_and_deleted", function()
  local c <close> = connect()
  assert(c:create("/many/s/a/b", "data", { parents = true }))
  assert(c:create("/many/s/c"))
  local nodes <const>, more <const> = assert(c:tree("/many/s", { data = true }))
  same(more, false)
  same(#nodes, 4)
  same(nodes[3].path, "/many/s/a/b")
  same(nodes[3].data, "data")
  same(nodes[4].data, tidelock.null)
  same(nodes[1].stat.numChildren, 2)
  same(assert(c:tree("/many/s", { after = "/many/s/a" }))[1].path, "/many/s/a/b")
  same(assert(c:copy("/many/s", "/many/s2")), 4)
  same(assert(c:get("/many/s2/a/b")), "data")
  same(assert(c:delete_tree("/many/s")), 4)
  fails("no_node", c:delete_tree("/many/s"))
  fails("node_exists", c:copy("/many", "/t"))
end)

rule("a_tree_larger_than_a_transaction_is_deleted_in_steps", function()
  local c <close> = connect(true)
  assert(c:create("/many/large", nil, { parents = true }))
  for i = 1, 2500 do assert(c:create("/many/large/" .. i)) end
  for i = 1, 4 do assert(c:copy("/many/large", "/many/copy" .. i)) end
  same(assert(c:delete_tree("/many")) > 12000, true)
end)

rule("a_client_reads_its_own_writes_from_any_server", function()
  local c <close> = assert(tidelock.connect { reads = "session" })
  local bounded <close> = assert(tidelock.connect { reads = "bounded", max_lag_ms = 60000 })
  assert(c:create("/own", "0"))
  for i = 1, 50 do
    assert(c:set("/own", tostring(i)))
    same(assert(c:get("/own")), tostring(i))
  end
  assert(bounded:get("/own"))
  fails("config", tidelock.connect { reads = "bounded" })
end)

-- --- running them ---

local failed = 0
print("1.." .. #rules)
for i, r in ipairs(rules) do
  local fine <const>, err <const> = xpcall(r.run, function(e)
    return debug.traceback(tostring(e))
  end)
  collectgarbage()
  print((fine and "ok %d - %s" or "not ok %d - %s"):format(i, r.name))
  if not fine then
    failed = failed + 1
    print((err:gsub("^", "# "):gsub("\n", "\n# ")))
  end
  io.stdout:flush()
end
os.exit(failed == 0, true)
