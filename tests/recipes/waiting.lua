-- waiting.lua -- a recipe for waiting_test.lua: waits for /go, and fails when it comes.

local waiting <const> = {}
function waiting.wait(tx, args)
  local place <const> = "/p/" .. tx.id
  if tx:get("/go") then tx:fail("no") end
  if not tx:exists(place) then tx:create(place, nil, { ephemeral = true, parents = true }) end
  return tx:wait("/go")
end
function waiting.cancel(tx, args)
  local place <const> = "/p/" .. tx.id
  if tx:exists(place) then tx:delete(place) end
end
return waiting
