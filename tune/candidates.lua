-- candidates: the points that may run here, as candidates: which to try first, which are variants of each other,
-- which of two is simpler, and what it takes until one may be timed (build.lua, measure.verify).

local space = require "space"
local emit = require "emit"
local name = require "name"
local selection = require "selection"
local untuned = require "untuned"
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

-- o: present (ISAs of this CPU, ascending rank), isas, families (lists of names, or nil for all); group: columns that
-- share a scale (default 0: whole rows do); small: only the points of selection.lua; untuned: names of what ran untuned
-- then (nil: what does now); builder, measure, store, compiler: what candidates are made with.
function candidates.new(o)
  return { builder = o.builder, measure = o.measure, store = o.store, compiler = o.compiler, present = o.present,
    isas = worthwhile(o.present, o.isas), families = o.families or space.families(), group = o.group or 0,
    small = o.small, untuned = o.untuned, known = {}, layouts = {} }
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

-- Whether a measured point is also what `isa` would run, under its own name: that point, or nil.
function candidates.twin(s, point, isa)
  if point.isa == isa then return point end
  local twin = copy(point, { isa = isa })
  return not space.refuse(twin) and original(s, twin).isa == point.isa and twin or nil
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

local function named(s, names)
  local list = {}
  for _, text in ipairs(names) do
    local point = name.parse(text)
    if point then list[#list + 1] = candidates.of(s, point) end
  end
  return list
end

-- What the default of the best ISA in question runs: the kernel for one token, and those for batches.
function candidates.default(s)
  local earlier = named(s, s.untuned or {})
  if #earlier > 0 then return earlier end
  for _, isa in ipairs(s.isas) do
    local list = {}
    for _, p in ipairs(untuned.points(isa, s.group)) do list[#list + 1] = candidates.of(s, p) end
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
  for _, d in ipairs(space.defaults(point.family, point.isa, point.g)) do
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

-- The candidates of the small space, in its order, and as a set; nil if the space is whole.
local function chosen(s)
  if s.small and not s.chosen then
    s.chosen = selection.of(s.isas, space.of_kind(s.families, "matmul"), { first = candidates.default(s),
      group = s.group, tile_key = tile_key, oddity = oddity, in_turn = candidates.in_turn,
      candidate = function(point) return candidates.of(s, point) end })
  end
  return s.chosen
end

-- Whether c is in the space that is searched.
function candidates.allowed(s, c)
  local list = chosen(s)
  return not list or list[c] == true
end

-- The points of a family on an ISA, as far as they are in the space that is searched.
local function points_of(s, family, isa)
  local list, points = chosen(s), {}
  for _, p in ipairs(not list and space.points(family, isa, s.group) or {}) do
    if space.holds_all(p) then points[#points + 1] = p end
  end
  for _, c in ipairs(list or {}) do
    if c.point.family == family and c.point.isa == isa then points[#points + 1] = c.point end
  end
  return points
end

-- The ISAs whose points are searched: in the small space a kernel may bear the name of the ISA that first had it.
local function isas_of(s)
  if not s.small then return s.isas end
  local list = {}
  for i = #s.present, 1, -1 do list[#list + 1] = s.present[i] end
  return list
end

-- Every candidate there is, for one token or for more.
function candidates.all(s, batches)
  local list, seen = {}, {}
  for _, isa in ipairs(isas_of(s)) do
    for _, family in ipairs(space.of_kind(s.families, "matmul")) do
      for _, p in ipairs(points_of(s, family, isa)) do
        if ((p.n or 1) > 1) == batches then add(list, seen, candidates.of(s, p)) end
      end
    end
  end
  return list
end

-- One candidate for each tile (all parameters but the fine ones), for one token or for more, of one layout or
-- of any, of one kind (nil: products); wide ISAs first, families in turn.
function candidates.tiles(s, batches, layout, kind)
  local list, seen = {}, {}
  for _, isa in ipairs(isas_of(s)) do
    local queues = {}
    for _, family in ipairs(space.of_kind(s.families, kind or "matmul")) do
      local best, queue = {}, {}
      for _, p in ipairs(points_of(s, family, isa)) do
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

-- The point with another value of a fine parameter, and, where that is refused (what fetches nothing, or begins to,
-- names another level), with another level, too; nil if there is none.
local function changed(point, parameter, value)
  local new, levels = copy(point, { [parameter] = value }), space.family(point.family).space.h
  if not space.refuse(new) then return new end
  for _, h in ipairs(parameter == "p" and levels or {}) do
    new.h = h
    if not space.refuse(new) then return new end
  end
end

-- The candidates that differ from c in one fine parameter.
function candidates.neighbours(s, c)
  local list, family = {}, space.family(c.point.family)
  for _, p in ipairs(family.fine) do
    for _, value in ipairs(family.space[p]) do
      local point = value ~= c.point[p] and changed(c.point, p, value)
      local other = point and candidates.of(s, point)
      if other and candidates.allowed(s, other) then list[#list + 1] = other end
    end
  end
  return list
end

-- Less unrolling, fewer rows at once, fewer accumulators, less prefetching, smaller tiles or blocks, the older ISA.
function candidates.simpler(a, b)
  local p, q = a.point, b.point
  for _, key in ipairs { "u", "m", "a", "p", "r", "b" } do
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

local function slice(list, from, to)
  local out = {}
  for i = from, math.min(to, #list) do out[#out + 1] = list[i] end
  return out
end

-- so many compilers' worth is built before it is proven: what is short of time has both for those it came to
local at_once = 8

-- Builds and proves candidates in order until the deadline, the first `least` whatever it takes.
-- progress(what, done, total).
function candidates.ready(s, list, deadline, least, progress)
  progress = progress or function() end
  local step = at_once * s.builder.jobs
  for from = 1, #list, step do
    local part, must = slice(list, from, from + step - 1), least - from + 1
    if must < 1 and linux.now() > deadline then break end
    local function building(done) progress("compiling", math.min(from - 1 + done, #list), #list) end
    build.all(s.builder, slice(part, 1, must), math.huge, building)
    build.all(s.builder, part, deadline, building)
    for i, c in ipairs(part) do
      if linux.interrupted() then error(measure.interruption, 0) end
      if i <= must or linux.now() < deadline then verify(s, c) end
      progress("proving", from - 1 + i, #list)
    end
  end
end

return candidates
