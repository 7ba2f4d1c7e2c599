-- worker.lua -- the same worker as worker.c, in Lua.
--
--     TIDELOCK_SERVERS=host:port,... lua5.4 worker.lua lock|election NAME FOLDER
local tidelock <const> = require "tidelock"

local name <const>, folder <const> = arg[2], arg[3]

local KINDS <const> = {
  lock = { entry = "/ledger/entry-", entries = 3, session_ms = 10000,
           take = function(client) return client:lock("/jobs/lock") end,
           give_back = function(turn) return turn:release() end },
  election = { entry = "/terms/entry-", entries = 8, session_ms = 3000,
               take = function(client)
                 return client:election("/service"):campaign(name)
               end,
               give_back = function(turn) return turn:resign() end },
}
local kind <const> = KINDS[arg[1]]
if not kind or not folder then
  io.stderr:write "usage: worker.lua lock|election NAME FOLDER\n"
  os.exit(2)
end

local function open_lines(file)
  local lines <const> = assert(io.open(folder .. "/" .. file, "a"))
  lines:setvbuf "line" -- a line is one write: they do not mix
  return lines
end
local journal <const> = open_lines "journal"
local acknowledged <const> = open_lines(name .. ".acknowledged")
local moves <const> = open_lines(name .. ".moves")

local function note(what, token)
  journal:write(("0 %s %s %d\n"):format(what, name, token)) -- Lua has no clock in ms
end

local function is_stopping()
  local file <close> = io.open(folder .. "/stop")
  return file ~= nil
end

-- Two moves in, one out. A refusal is an answer like any other. True, or nil, err.
local turns = 0
local function use_till(client)
  turns = turns + 1
  local amount <const> = turns % 3 == 0 and -3 or 2
  local _, err <const> = client:call("till.move", { by = name, amount = amount })
  local refused <const> = err and err.code == "refused"
  moves:write(not err and "done" or refused and "refused" or "unsure", " ", amount, "\n")
  if err and not refused then return nil, err end
  return true
end

-- The guard makes the service refuse the entries if the turn is ours no more.
local function work(client, turn)
  for n = 1, kind.entries do
    if select(2, client:session()) == 0 then return nil, { code = "session_expired" } end
    local entry <const> = ("%s %d %d"):format(name, turn.token, n)
    local path <const>, err <const> = client:create(kind.entry, entry,
      { sequential = true, parents = true, guard = turn })
    if not path then return nil, err end
    acknowledged:write(path, " ", entry, "\n")
  end
  return true
end

-- How the turn ended, as the journal tells it.
local function ending(client, err)
  if not err then return "leave" end
  if client:session() == "over" then return "lost" end
  return err.code == "pending" and "unsure" or "refused"
end

local function take_turn(client)
  local turn <const>, err <const> = kind.take(client)
  if not turn then return nil, err end
  note("enter", turn.token)
  local done <const>, failure <const> = work(client, turn)
  note(ending(client, failure), turn.token)
  if not done then return nil, failure end
  local free <const>, kept <const> = kind.give_back(turn)
  if not free then return nil, kept end
  return use_till(client)
end

-- A session that is over took its turn along, so the worker begins anew with another.
while not is_stopping() do
  local client <close> =
    assert(tidelock.connect { session = kind.session_ms, timeout_ms = 30000 })
  local done, err = true, nil
  while done and not is_stopping() do done, err = take_turn(client) end
  if not done then
    io.stderr:write(name, ": ", tostring(err), "\n")
    if err.code ~= "session_expired" then os.exit(false, true) end
  end
end
