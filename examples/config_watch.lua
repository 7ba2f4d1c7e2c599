-- config_watch.lua -- prints each version of a configuration value as it is stored.
--
--     TIDELOCK_SERVERS=host:port,... lua5.4 config_watch.lua PATH [COUNT]
--
-- It ends after COUNT versions, else never. No version is missed while it is kept (20 are,
-- if nobody said otherwise), whatever fails. lua finds the module by LUA_CPATH, such as
-- "build/lua/?.so".
local tidelock <const> = require "tidelock"

local path <const> = arg[1] or error "usage: config_watch.lua PATH [COUNT]"
local left = arg[2] and tonumber(arg[2]) or math.huge
local version = 0 -- the one that we have

local function print_version(found)
  if found.skipped then
    print(("(versions %d to %d are gone)"):format(version + 1, found.version - 1))
  end
  print(found.version .. " " .. found.data)
  io.stdout:flush()
end

-- A call that waits needs a session. One that is over is replaced, and nothing is missed:
-- the next call says what we have.
while left > 0 do
  local client <close> = assert(tidelock.connect { session = true })
  local config <const> = client:config(path)
  local found, err = nil, nil
  repeat
    found, err = config:watch(version)
    if found then
      print_version(found)
      version, left = found.version, left - 1
    end
  until not found or left == 0
  assert(found or err.code == "session_expired", err)
end
