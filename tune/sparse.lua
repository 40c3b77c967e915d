-- sparse: of the jobs that a squared ReLU leaves sparse (up, down), which kernel of listed rows or columns is fastest
-- at the usual density, and up to which density it beats the job's dense kernel. Races are search.lua's.

local space = require "space"
local candidates = require "candidates"

local sparse = {}

local usual = 0.2                                      -- active rows or inputs, where kernels compete
local densities = { 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1 } -- where the winner meets the dense kernel

-- The product as sparse kernels see it, with that part active: up alone is half of gate_up. Nil for other roles, and
-- where columns share scales: sums over listed rows and columns are raw.
local function variant(job, active)
  local kind = space.sparse[job.role]
  if not kind or (job.group or 0) > 0 then return nil end
  return { role = job.role, m = kind == "rows" and math.ceil(job.m / 2) or job.m, k = job.k, weights = job.weights,
    active = active, kind = kind }
end

local function of_kind(entries, kind)
  local list = {}
  for _, e in ipairs(entries) do if e.ns and e.item.kind == kind then list[#list + 1] = e end end
  return list
end

local function ns_of(entries, hash)
  for _, e in ipairs(entries) do if e.item.hash == hash then return e.ns end end
end

-- One candidate for each tile, what runs untuned in front.
local function with_default(pool, kind)
  local list = {}
  for _, family in ipairs(space.of_kind(pool.families, kind)) do
    local point = space.defaults(family, pool.isas[1])[1]
    if point then list[#list + 1] = candidates.of(pool, point) end
  end
  for _, c in ipairs(candidates.tiles(pool, false, nil, kind)) do list[#list + 1] = c end
  return list
end

-- Races what is left to know of a job whose dense choice is `dense`. run(variant, stage, list, o) and
-- ranked(entries) are the search's.
function sparse.measure(pool, job, dense, deadline, run, ranked)
  local one = variant(job, usual)
  if not one then return end
  local function fastest(active, stage, list, until_when)
    local o = { tokens = 1, reference = dense, deadline = until_when, rounds = 8, least = 1,
      group = function(c) return c.kind end }
    return ranked(of_kind(run(variant(job, active), one.kind .. stage, list, o), one.kind))
  end
  local tiles = with_default(pool, one.kind)
  local best = #tiles > 0 and fastest(usual, "-tiles", tiles, deadline) or {}
  if not best[1] then return end
  local near = { best[1].item, best[2] and best[2].item }
  for _, c in ipairs(candidates.neighbours(pool, best[1].item)) do near[#near + 1] = c end
  best = fastest(usual, "-fine", near, deadline)
  for _, active in ipairs(best[1] and densities or {}) do
    fastest(active, "-curve", { best[1].item }, math.huge)
  end
end

-- The fraction at which `at`, ascending densities with ns and dense_ns, says the dense kernel is as fast; between two
-- densities on a straight line. Noise only adds, so what was slower than more work is taken to be as fast.
function sparse.break_even(at)
  local above, least
  for i = #at, 1, -1 do
    local here = { active = at[i].active, ratio = math.min(at[i].ns / at[i].dense_ns, least or math.huge) }
    if here.ratio < 1 then
      if not above then return here.active end
      return here.active + (above.active - here.active) * (1 - here.ratio) / (above.ratio - here.ratio)
    end
    above, least = here, here.ratio
  end
  return 0
end

-- A job's entry by what is stored, { name, hash, break_even, at = { { active, ns, dense_ns } } }; nil if that does not
-- suffice. recorded(variant, stage): entries; dense: the hash of the chosen dense kernel.
function sparse.decide(job, dense, recorded, ranked)
  local one = variant(job, usual)
  if not one then return nil end
  local winner = ranked(of_kind(recorded(one, one.kind .. "-fine"), one.kind))[1]
  local at = {}
  for _, active in ipairs(winner and densities or {}) do
    local entries = recorded(variant(job, active), one.kind .. "-curve")
    local ns, other = ns_of(entries, winner.item.hash), ns_of(entries, dense)
    if ns and other then at[#at + 1] = { active = active, ns = ns, dense_ns = other } end
  end
  if #at < #densities then return nil end
  return { name = winner.item.name, hash = winner.item.hash, break_even = sparse.break_even(at), at = at }
end

return sparse
