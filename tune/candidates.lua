-- candidates: the points that may run here, as candidates: which to try first, which are variants of each other,
-- which of two is simpler, and what it takes until one may be timed (build.lua, measure.verify).

local space = require "space"
local emit = require "emit"
local name = require "name"
local build = require "build"
local measure = require "measure"
local store = require "store"
local linux = require "linux"

local candidates = {}

-- -- points ----------------------------------------------------------------------------------------------

local function contains(list, value)
  for _, v in ipairs(list) do if v == value then return true end end
  return false
end

-- ISAs worth trying: what is asked for; else all present whose registers are at least half as wide as the
-- widest, and the floor under everything only where there is nothing else.
local function worthwhile(present, wanted)
  local list, widest = {}, 0
  for _, isa in ipairs(present) do widest = math.max(widest, space.isa(isa).bits) end
  for i = #present, 1, -1 do
    local isa = space.isa(present[i])
    local try = isa.bits * 2 >= widest and (isa.arch ~= "any" or #present == 1)
    if wanted then try = contains(wanted, isa.name) end
    if try then list[#list + 1] = isa.name end
  end
  return list
end

local function copy(point, changes)
  local new = {}
  for key, value in pairs(point) do new[key] = value end
  for key, value in pairs(changes) do new[key] = value end
  return new
end

-- o: present (ISAs of this CPU, ascending rank), isas, families (lists of names, or nil for all); builder, measure,
-- store, compiler: what candidates are made with.
function candidates.new(o)
  local s = { builder = o.builder, measure = o.measure, store = o.store, compiler = o.compiler, present = o.present,
    isas = worthwhile(o.present, o.isas), families = o.families or space.families(), known = {}, layouts = {} }
  return s
end

-- The same kernel under the name of the ISA that first had it: an ISA that is `like` another repeats the kernels
-- whose words it does not change.
local function original(s, point)
  local parent = space.isa(point.isa).like
  if not parent or not contains(s.present, parent) then return point end
  local twin = copy(point, { isa = parent })
  if space.refuse(twin) then return point end
  local renamed = emit.kernel(point).code:gsub(point.isa, parent)
  return renamed == emit.kernel(twin).code and original(s, twin) or point
end

function candidates.of(s, point)
  point = original(s, point)
  local text = name.of(point)
  if not s.known[text] then
    local k = emit.kernel(point)
    s.layouts[k.layout] = s.layouts[k.layout] or emit.layout(k.layout)
    s.known[text] = build.candidate(k, s.layouts[k.layout])
  end
  return s.known[text]
end

local function add(list, seen, c)
  if not seen[c] then
    seen[c] = true
    list[#list + 1] = c
  end
end

-- What the default of the best ISA in question runs: the kernel for one token, and those for batches.
function candidates.default(s)
  for _, isa in ipairs(s.isas) do
    local list = {}
    for _, p in ipairs(space.untuned(isa)) do list[#list + 1] = candidates.of(s, p) end
    if #list > 0 then return list end
  end
  error("none of these ISAs has a default", 0)
end

-- -- variants --------------------------------------------------------------------------------------------

local function is_fine(family, parameter) return contains(family.fine, parameter) end

-- Everything of a point but its fine parameters.
local function tile_key(point)
  local family, parts = space.family(point.family), { point.family, point.isa }
  for _, p in ipairs(space.parameters(family)) do
    if not is_fine(family, p) then parts[#parts + 1] = p .. tostring(point[p]) end
  end
  return table.concat(parts, " ")
end

-- How far a point's fine parameters are from those of its ISA's default for as many tokens, or from no
-- unrolling and a prefetch of 64 lines.
local function oddity(point)
  local usual = { u = 1, p = 64 }
  for _, d in ipairs(space.defaults(point.family, point.isa)) do
    if (d.n or 1) == (point.n or 1) then usual = d break end
  end
  local sum = 0
  for _, p in ipairs(space.family(point.family).fine) do sum = sum + math.abs(point[p] - (usual[p] or point[p])) end
  return sum
end

-- One of each queue, then the next of each: where time is short, every queue has had its first.
function candidates.in_turn(queues)
  local list, longest = {}, 0
  for _, queue in ipairs(queues) do longest = math.max(longest, #queue) end
  for i = 1, longest do
    for _, queue in ipairs(queues) do list[#list + 1] = queue[i] end
  end
  return list
end

-- One candidate for each tile (all parameters but the fine ones), for one token or for more, of one layout or
-- of any; wide ISAs first, families in turn.
function candidates.tiles(s, batches, layout)
  local list, seen = {}, {}
  for _, isa in ipairs(s.isas) do
    local queues = {}
    for _, family in ipairs(s.families) do
      local best, queue = {}, {}
      for _, p in ipairs(space.points(family, isa)) do
        if ((p.n or 1) > 1) == batches and (not layout or space.family(family).layout(p) == layout) then
          local key = tile_key(p)
          if not best[key] then queue[#queue + 1] = key end
          if not best[key] or oddity(p) < oddity(best[key]) then best[key] = p end
        end
      end
      for i, key in ipairs(queue) do queue[i] = best[key] end
      queues[#queues + 1] = queue
    end
    for _, point in ipairs(candidates.in_turn(queues)) do add(list, seen, candidates.of(s, point)) end
  end
  return list
end

-- The candidates that differ from c in one fine parameter.
function candidates.neighbours(s, c)
  local list, family = {}, space.family(c.point.family)
  for _, p in ipairs(family.fine) do
    for _, value in ipairs(family.space[p]) do
      local point = copy(c.point, { [p] = value })
      if value ~= c.point[p] and not space.refuse(point) then list[#list + 1] = candidates.of(s, point) end
    end
  end
  return list
end

-- Less unrolling, fewer rows at once, fewer accumulators, less prefetching, smaller tiles, the older ISA.
function candidates.simpler(a, b)
  local p, q = a.point, b.point
  for _, key in ipairs { "u", "m", "a", "p", "r" } do
    if (p[key] or 0) ~= (q[key] or 0) then return (p[key] or 0) < (q[key] or 0) end
  end
  if p.isa ~= q.isa then return space.isa(p.isa).rank < space.isa(q.isa).rank end
  return a.name < b.name
end

-- Whether job's K is within what the kernel can sum.
function candidates.fits(c, job) return math.ceil(job.k / c.layout.kstep) * c.layout.kstep <= c.kmax end

-- -- ready to be timed -------------------------------------------------------------------------------------

local function check_record(s, c)
  return { kind = "check", name = c.name, hash = c.hash, compiler = s.compiler }
end

-- A failure that is the candidate's own: it is out of every race from now on. Time-outs may have been the machine's.
function candidates.fail(s, c, why)
  c.failed = why
  if why:match("^compile: ") or why == "timeout" then return end
  local record = check_record(s, c)
  record.failed = why
  store.add(s.store, record)
end

-- Whether an earlier run proved c right (it need not be built to be known).
function candidates.proven(s, c)
  if c.right or c.failed then return c.right end
  local earlier = store.checked(s.store, check_record(s, c))
  if earlier == true then c.right = true elseif earlier then c.failed = earlier end
  return c.right
end

local function verify(s, c)
  if not c.so or c.failed or candidates.proven(s, c) or c.failed then return end
  local why = measure.verify(s.measure, c)
  if why then return candidates.fail(s, c, why) end
  c.right = true
  store.add(s.store, check_record(s, c))
end

-- Builds and proves candidates in order until the deadline, the first `least` whatever it takes.
-- progress(what, done, total).
function candidates.ready(s, list, deadline, least, progress)
  progress = progress or function() end
  local first = {}
  for i = 1, math.min(least, #list) do first[i] = list[i] end
  local function building(done, total) progress("compiling", done, total) end
  build.all(s.builder, first, math.huge, building)
  build.all(s.builder, list, deadline, building)
  for i, c in ipairs(list) do
    if linux.interrupted() then error(measure.interruption, 0) end
    if i <= least or linux.now() < deadline then verify(s, c) end
    progress("checking", i, #list)
  end
end

return candidates
