-- config_test.lua -- groups and differences of config.lua. Its other rules are in
-- tests/unit/t_config_recipe.c.

local function put(t, path, data)
  return t:call("config.put", { path = path, data = data }).version
end

test("several values are stored, all or none", function(t)
  put(t, "/a", "1")
  local items <const> = { { path = "/a", data = "2", version = 1 },
                          { path = "/b", data = "1" } }
  local stored <const> = t:call("config.put_all", { items = items })
  t:equal({ stored[1].version, stored[2].version }, { 2, 1 })
  t:equal(stored[1].zxid, stored[2].zxid)
  local late <const> = { { path = "/b", data = "no" },
                         { path = "/a", data = "no", version = 1 } }
  t:refused(t:start("config.put_all", { items = late }), "conflict: the version is 2, not 1")
  t:equal(t:call("config.get", { path = "/b" }).data, "1")
end)

test("several values are read as of one moment", function(t)
  put(t, "/a", "1")
  put(t, "/a", "2")
  local found <const> = t:query("config.get_all", { items = {
    { path = "/a" }, { path = "/none" }, { path = "/a", version = 1 } } })
  t:refused({ error = function() return found.error end, name = "" }, "/a is there twice")
  local two <const> = t:query("config.get_all", { items = { { path = "/a" },
                                                           { path = "/none" } } }).value
  t:equal({ two[1].data, two[2] }, { "2", null })
end)

test("what changed is told line by line", function(t)
  put(t, "/a", "one\ntwo\nthree\nfour")
  put(t, "/a", "one\n2\nthree\nfour\nfive\n")
  t:equal(t:call("config.diff", { path = "/a", from = 1 }).lines,
          { "  one", "- two", "+ 2", "  three", "  four", "+ five" })
  t:equal(t:call("config.diff", { path = "/a", from = 2, to = 1 }).lines,
          { "  one", "- 2", "+ two", "  three", "  four", "- five" })
  t:equal(t:call("config.diff", { path = "/a", from = 1, to = 1 }).lines,
          { "  one", "  two", "  three", "  four" })
  t:refused(t:start("config.diff", { path = "/a", from = 7 }), "version 7 is not kept")
end)

test("groups that make no sense are refused", function(t)
  t:refused(t:start("config.put_all", { items = {} }), "items must be 1 to 50")
  t:refused(t:start("config.put_all", { items = { { path = "/a" } } }), "data is missing")
end)
