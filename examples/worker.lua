-- worker.lua -- one of several workers that empty a list of jobs, each job done once.
--
--     TIDELOCK_SERVERS=host:port,... lua5.4 worker.lua NAME
--
-- Jobs are nodes below /jobs/todo, results are nodes below /jobs/done. It ends when no job
-- is left. lua finds the module by LUA_CPATH, such as "build/lua/?.so".

local tidelock <const> = require "tidelock"

local name <const> = arg[1] or error "usage: worker.lua NAME"
local BATCH <const> = 10

-- The work itself: whatever takes a job's data and gives a result.
local function work(data)
  return data:upper()
end

-- The result is written before the job is removed. A worker that dies in between leaves a
-- job that has a result: the next one only removes it. The guard makes the service refuse
-- both writes when the lock is not ours any more, however long we were stopped.
local function do_job(client, lock, job)
  local data <const>, err <const> = client:get("/jobs/todo/" .. job)
  if not data then return nil, err end
  local path <const>, refused <const> =
    client:create("/jobs/done/" .. job, work(data), { parents = true, guard = lock })
  if not path and refused.code ~= "node_exists" then return nil, refused end
  return client:delete("/jobs/todo/" .. job, { guard = lock })
end

-- Does some jobs under the lock, which goes back at the end, whatever happens. The number
-- of jobs, or nil, err.
local function take_turn(client)
  local lock <close>, err <const> = client:lock("/jobs/lock")
  if not lock then return nil, err end
  local jobs <const>, gone <const> = client:children("/jobs/todo", { limit = BATCH })
  if not jobs then return nil, gone end
  for _, job in ipairs(jobs) do
    local done <const>, failure <const> = do_job(client, lock, job)
    if not done then return nil, failure end
    print(name, job, lock.token)
  end
  return #jobs
end

local client = assert(tidelock.connect { session = true, timeout_ms = 30000 })
while true do
  local count <const>, err <const> = take_turn(client)
  if count == 0 then break end
  if err and err.code == "session_expired" then
    -- The lock went with the session: begin anew with another.
    client:close()
    client = assert(tidelock.connect { session = true, timeout_ms = 30000 })
  else
    assert(count, err)
  end
end
client:close()
