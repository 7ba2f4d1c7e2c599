-- scheduler.lua -- jobs at their times, each run by one worker of a fleet: a recipe of a
-- user's own. See scheduler_worker.lua for a worker.
--
-- Tree      <path>/jobs/<name>     "<every> <offset> <due>" in milliseconds of UTC
--           <path>/data/<name>     what the worker is to do, any bytes
--           <path>/running/<name>  ephemeral; who runs it now; its czxid is the token
-- Invariant J1  A job that is due is run by one worker at a time.
--           J2  Once a worker is done, a job is due again at the next multiple of `every`
--               after the present, plus the offset: what was missed is not made up.
--           J3  A job whose worker died before it was done is due still.
-- Liveness  A worker asks for work, and is told when to ask again.

local scheduler <const> = {}

local JOBS_MAX <const> = 200 -- each is looked at when a worker asks
local WAIT_MS_MAX <const> = 60000 -- a job that is put meanwhile waits so long at most
local RUNNING_MS <const> = 1000 -- then a worker may ask again for a job that is run now
local PARENTS <const> = { parents = true }
local EPHEMERAL <const> = { ephemeral = true, parents = true }

local function next_due(every, offset, now)
  return (now - offset) // every * every + every + offset
end

local function write(tx, node, every, offset, due)
  local text <const> = every .. " " .. offset .. " " .. due
  if tx:exists(node) then tx:set(node, text) else tx:create(node, text, PARENTS) end
end

local function read(tx, node)
  local text <const> = tx:get(node)
  local one <const> = text:find(" ")
  local two <const> = text:find(" ", one + 1)
  return math.tointeger(tonumber(text:sub(1, one - 1))),
         math.tointeger(tonumber(text:sub(one + 1, two - 1))),
         math.tointeger(tonumber(text:sub(two + 1)))
end

local function check_name(tx, args)
  if args.name == "" or args.name:find("/") then tx:fail("name must be one without /") end
end

--- Put a job, or change one: it is due at its next time.
-- @param args.path    the schedule's directory, created on first use
-- @param args.name    the job
-- @param args.every   milliseconds from one run to the next: 1000 or more
-- @param args.offset  milliseconds: 3 * 3600000 with every = 86400000 is 3 o'clock, UTC
-- @param args.data    what the worker shall do
-- @return {due = milliseconds of UTC}
function scheduler.put(tx, args)
  tx:check(args, { path = "path", name = "string", every = "natural", offset = "natural?",
                   data = "string?" })
  check_name(tx, args)
  if args.every < 1000 then tx:fail("every must be 1000 or more") end
  local jobs <const> = tx:stat(args.path .. "/jobs")
  local data <const> = args.path .. "/data/" .. args.name
  if jobs and jobs.numChildren >= JOBS_MAX then
    tx:fail("there are " .. JOBS_MAX .. " jobs already")
  end

  local due <const> = next_due(args.every, args.offset or 0, tx:now())
  write(tx, args.path .. "/jobs/" .. args.name, args.every, args.offset or 0, due)
  if tx:exists(data) then
    tx:set(data, args.data)
  else
    tx:create(data, args.data, PARENTS)
  end
  return { due = due }
end

--- Remove a job. A worker that runs it now ends its run. Doing it twice is no error.
-- @param args.path, args.name  the job
-- @return {removed = boolean}
function scheduler.remove(tx, args)
  tx:check(args, { path = "path", name = "string" })
  check_name(tx, args)
  local found <const> = tx:exists(args.path .. "/jobs/" .. args.name)
  if found then
    tx:delete(args.path .. "/jobs/" .. args.name)
    tx:delete(args.path .. "/data/" .. args.name)
  end
  return { removed = found }
end

-- The job that nobody runs and that is due first; when it is, or else when to ask again:
-- soon, if a job is run now, since its worker may die.
local function find_first(tx, path)
  local name, first, again = nil, math.maxinteger, WAIT_MS_MAX
  local node = tx:first(path .. "/jobs")
  while node do
    local job <const> = node:sub(#path + #"/jobs/" + 1)
    local _, _, due <const> = read(tx, node)
    if tx:exists(path .. "/running/" .. job) then
      again = RUNNING_MS
    elseif due < first then
      name, first = job, due
    end
    node = tx:next(node)
  end
  return name, math.min(first, tx:now() + again)
end

--- Ask for work. A worker needs a session: if it dies, another is given its job.
-- @param args.path  the schedule's directory
-- @return {name, data, due, path, token} of a job to run now, path and token to put into a
--         guard and into done; or {wait_ms = integer}: ask again then
function scheduler.claim(tx, args)
  tx:check(args, { path = "path" })
  local name <const>, due <const> = find_first(tx, args.path)
  if not name or due > tx:now() then return { wait_ms = due - tx:now() } end
  local run <const> = tx:create(args.path .. "/running/" .. name, nil, EPHEMERAL)
  return { name = name, data = tx:get(args.path .. "/data/" .. name), due = due, path = run,
           token = tx.zxid }
end

--- The job is done: it is due again at its next time.
-- @param args.path, args.name  the job
-- @param args.token            as claim answered it
-- @return {done = boolean}  false: the claim had ended, and another may have run it
function scheduler.done(tx, args)
  tx:check(args, { path = "path", name = "string", token = "integer" })
  check_name(tx, args)
  local run <const> = args.path .. "/running/" .. args.name
  local job <const> = args.path .. "/jobs/" .. args.name
  local stat <const> = tx:stat(run)
  if not stat or stat.czxid ~= args.token then return { done = false } end
  tx:delete(run)
  if tx:exists(job) then
    local every <const>, offset <const> = read(tx, job)
    write(tx, job, every, offset, next_due(every, offset, tx:now()))
  end
  return { done = true }
end

return scheduler
