-- scheduler_worker.lua -- one of a fleet that runs the jobs of scheduler.lua.
--
--     tidelock recipe put scheduler.lua
--     tidelock call scheduler.put '{"path": "/cron", "name": "tick", "every": 1000}'
--     TIDELOCK_SERVERS=host:port,... lua5.4 scheduler_worker.lua NAME COUNT
--
-- It ends after COUNT jobs. Start as many as you like: each run of a job is one worker's,
-- and the job of a worker that dies is the next one's.

local tidelock <const> = require "tidelock"

local name <const>, count <const> = arg[1], tonumber(arg[2])
if not name or not count then error "usage: scheduler_worker.lua NAME COUNT" end

-- The work itself. The guard makes the service refuse what comes after the claim has ended.
local function work(client, run)
  local note <const> = { parents = true, sequential = true, guard = run }
  return client:create("/cron-runs/run-", run.name .. " " .. run.due .. " " .. name, note)
end

local client <close> = assert(tidelock.connect { session = true, timeout_ms = 30000 })
local finished = 0
while finished < count do
  local run <const> = assert(client:call("scheduler.claim", { path = "/cron" }))
  if run.wait_ms then
    os.execute("sleep " .. run.wait_ms / 1000)
  else
    assert(work(client, run))
    local done <const> = { path = "/cron", name = run.name, token = run.token }
    assert(client:call("scheduler.done", done))
    print(name, run.name, run.due)
    finished = finished + 1
  end
end
