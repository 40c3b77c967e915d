-- cuts: what so many tokens cost if they are cut as runtime/kernels/cut.c cuts them, and which kernels are worth a
-- place in a plan for it.

local cuts = {}

local most_kernels = 16     -- TRI_PLAN_KERNELS
local most_tokens = 512     -- of a pass of the engine, unless it is told otherwise
local worthwhile = 0.001    -- of the mean cost: what a kernel must save

-- What 1, 2, ... most tokens cost; kernels { tokens =, cost = of a call }, the first of them for one token, in any
-- order otherwise.
function cuts.table(kernels, most)
  local best = { [0] = 0, kernels[1].cost }
  for n = 2, most do
    best[n] = math.huge
    for _, k in ipairs(kernels) do best[n] = math.min(best[n], k.cost + best[math.max(0, n - k.tokens)]) end
  end
  return best
end

-- The mean over all n of what n tokens cost, to what they could cost; few tokens weigh as much as many.
local function excess(kernels, least)
  local best, sum, weights = cuts.table(kernels, #least), 0, 0
  for n = 1, #least do sum, weights = sum + best[n] / least[n] / n, weights + 1 / n end
  return sum / weights
end

local function with(kernels, k)
  local list = {}
  for i, other in ipairs(kernels) do list[i] = other end
  list[#list + 1] = k
  return list
end

-- The kernels to keep, by ascending tokens: the first, and one after the other the one that saves most.
function cuts.keep(kernels)
  local kept, left = { kernels[1] }, { select(2, unpack(kernels)) }
  local least = cuts.table(kernels, most_tokens)
  local now = excess(kept, least)
  while #kept < most_kernels and #left > 0 do
    local best, at = now, nil
    for i, k in ipairs(left) do
      local e = excess(with(kept, k), least)
      if e < best then best, at = e, i end
    end
    if now - best < worthwhile then break end
    kept[#kept + 1], now = table.remove(left, at), best
  end
  table.sort(kept, function(a, b) return a.tokens < b.tokens end)
  return kept
end

return cuts
