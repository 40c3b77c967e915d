-- plan: a list of kernels as a table of measurements names it, { name, hash } each, becomes points: as far as they
-- exist, are what was measured, and go together.

local space = require "space"
local name = require "name"
local emit = require "emit"

local plan = { most = 16 } -- TRI_PLAN_KERNELS in runtime/kernels/dispatch.h

-- The points of `entries`, on one layout, by ascending tokens from one on; nil and why they cannot be used.
-- group: columns that share a scale, 0 where whole rows do; suits(isa): nil, or why a kernel of that ISA (its table)
-- does not belong there.
function plan.points(entries, group, suits)
  local points, layout, tokens = {}, nil, 0
  for _, entry in ipairs(type(entries) == "table" and entries or {}) do
    local point, why = name.parse(type(entry) == "table" and entry.name)
    why = why or suits(space.isa(point.isa))
    if why then return nil, why end
    local k = emit.kernel(point)
    if k.hash ~= entry.hash then return nil, k.name .. " has changed since it was measured" end
    if k.layout ~= (layout or k.layout) or k.tokens <= tokens or k.group ~= group then
      return nil, "kernels that do not go together"
    end
    layout, tokens, points[#points + 1] = k.layout, k.tokens, point
  end
  if #points == 0 or #points > plan.most or (points[1].n or 1) ~= 1 then return nil, "no kernel for one token" end
  return points
end

return plan
