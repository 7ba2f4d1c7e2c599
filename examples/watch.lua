-- watch.lua -- prints every change of a node, in order, none left out, whoever fails.
--
--     TIDELOCK_SERVERS=host:port,... lua5.4 watch.lua PATH [COUNT]
--
-- A line is "ZXID KIND PATH [DATA]"; ZXID numbers the transaction that made the change. The
-- node need not be there. It ends after COUNT changes, else never. lua finds the module by
-- LUA_CPATH, such as "build/lua/?.so".
local tidelock <const> = require "tidelock"

local path <const> = arg[1] or error "usage: watch.lua PATH [COUNT]"
local left = arg[2] and tonumber(arg[2]) or math.huge

-- Two kinds are no changes: "armed" comes first, and from there on nothing is missed;
-- "lagged" says that something may be missing, so read again.
local CHANGES <const> = { created = true, changed = true, deleted = true }

local function print_event(event)
  local text = ("%d %s %s"):format(event.zxid, event.kind, event.path)
  if event.data and event.data ~= tidelock.null then text = text .. " " .. event.data end
  print(text)
  io.stdout:flush()
end

local client <close> = assert(tidelock.connect())
local watch <close> = assert(client:watch(path, { value = true }))

while left > 0 do
  local event <const> = assert(watch:next())
  print_event(event)
  if CHANGES[event.kind] then left = left - 1 end
end
