-- rows: what there is to time of kernels: each with every shape, number of threads and regime. Warm: one matrix over
-- and over; cold: from memory, through which the weights rotate. Beside each row what could be reached at the time.
--   NAME/ROWSxCOLUMNS[/tokens:N][/active:F]/threads:N/warm|cold

local space = require "space"
local name = require "name"
local emit = require "emit"
local build = require "build"
local measure = require "measure"
local linux = require "linux"

local rows = {}

local fresh = 0.25 -- seconds that a ceiling holds

-- -- kernels -----------------------------------------------------------------------------------------------------

local function is_sparse(kind) return kind == "rows" or kind == "columns" end

-- The registry's kernels (worker.lua, op "linked"), as they may be timed.
function rows.linked(kernels)
  for _, c in ipairs(kernels) do c.point, c.sparse = name.parse(c.name), is_sparse(c.kind) end
  return kernels
end

-- Every kernel that the generator has for these ISAs with `text` in its name, not yet made (rows.ready).
function rows.generated(isas, text)
  local list = {}
  for _, isa in ipairs(isas) do
    for _, family in ipairs(space.families()) do
      local sparse = is_sparse(space.family(family).kind)
      for _, point in ipairs(space.points(family, isa)) do
        local k = { name = name.of(point), point = point, tokens = point.n or 1, sparse = sparse }
        if k.name:find(text, 1, true) then list[#list + 1] = k end
      end
    end
  end
  return list
end

-- -- rows --------------------------------------------------------------------------------------------------------

-- The shapes of all sets, each once.
local function shapes_of(sets)
  local list, seen = {}, {}
  for _, set in ipairs(sets) do
    for _, job in ipairs(set) do
      local text = ("%dx%d"):format(job.m, job.k)
      if not seen[text] then list[#list + 1] = { m = job.m, k = job.k, text = text } end
      seen[text] = true
    end
  end
  return list
end

-- How a kernel is called: { tokens, regime, active, text }. Weights of a batch are read once for all of its tokens, so
-- that where they come from does not matter: it is cold alone.
local function calls(k, o)
  local list, seen = {}, {}
  if k.tokens == 1 then
    local text = k.sparse and ("/active:%g"):format(o.active) or ""
    for _, regime in ipairs { "warm", "cold" } do
      list[#list + 1] = { tokens = 1, regime = regime, active = k.sparse and o.active, text = text }
    end
    return list
  end
  for _, n in ipairs(o.batch) do
    local tokens = measure.whole(k, n)
    if not seen[tokens] and tokens <= 4096 then
      list[#list + 1] = { tokens = tokens, regime = "cold", text = ("/tokens:%d"):format(tokens) }
    end
    seen[tokens] = true
  end
  return list
end

-- All rows of these kernels on shapes.lua's sets. o: threads, batch: lists; active: a fraction.
function rows.new(kernels, sets, o)
  local list, all = {}, shapes_of(sets)
  for _, k in ipairs(kernels) do
    for _, shape in ipairs(all) do
      for _, call in ipairs(calls(k, o)) do
        for _, threads in ipairs(o.threads) do
          list[#list + 1] = { handle = k, shape = shape, tokens = call.tokens, active = call.active or nil,
            threads = threads, regime = call.regime,
            name = ("%s/%s%s/threads:%d/%s"):format(k.name, shape.text, call.text, threads, call.regime) }
        end
      end
    end
  end
  return list
end

-- -- ceilings ----------------------------------------------------------------------------------------------------

-- ceiling(m) with a value that is `fresh`: rows of the same key share it.
local function refreshed(known, key, sample)
  return function(m)
    local c = known[key]
    if not c or linux.now() - c.at > fresh then
      local value = sample(m)
      c = { value = value, at = linux.now() }
      known[key] = c
    end
    return c.value
  end
end

-- What a cache gives is read in a moment, so that it takes several to meet one without disturbance.
local function read_of(row)
  return function(m)
    local best = 0
    for _ = 1, row.regime == "warm" and 16 or 1 do best = math.max(best, measure.read(m, row.threads, row.span)) end
    return best * 1e9
  end
end

local function peak_of(row)
  return function(m) return measure.peak(m, row.peak, row.handle.point.isa, row.threads) * 1e9 end
end

-- What measures the most that a kernel's products could reach: of its family, or of products of bytes; nil if its ISA
-- has no such loop.
local function peak_family(point)
  for _, family in ipairs { point.family, "mad" } do
    if space.family(family).peak and emit.has_peak(family, space.isa(point.isa)) then return family end
  end
end

-- -- ready to run ------------------------------------------------------------------------------------------------

-- Bytes of the weights that one call reads, and of the matrix: of sparse kernels, as it is packed for them.
local function bytes_of(row)
  local job, layout = row.job, row.kernel.layout
  if row.kernel.kind == "columns" then job = { m = job.k, k = job.m } end
  local all = measure.bytes(job, layout)
  return all * (row.active or 1), all
end

-- layouts: those written so far, by name.
local function candidate_of(handle, layouts)
  if handle.linked then return handle end
  local k = emit.kernel(handle.point)
  layouts[k.layout] = layouts[k.layout] or emit.layout(k.layout)
  return build.candidate(k, layouts[k.layout])
end

local function limited(row, known)
  row.peak = row.tokens > 1 and peak_family(row.handle.point) or nil
  row.limit = row.peak and "peak" or "read"
  local key = row.peak and ("%s %s %d"):format(row.peak, row.handle.point.isa, row.threads) or
    ("%d %d"):format(row.span, row.threads)
  row.ceiling = refreshed(known, key, row.peak and peak_of(row) or read_of(row))
end

-- Rows as benchmark.run takes them, with row.kernel, a candidate to build unless it is linked (build.all).
function rows.ready(list)
  local made, layouts, known = {}, {}, {}
  for _, row in ipairs(list) do
    made[row.handle] = made[row.handle] or candidate_of(row.handle, layouts)
    row.kernel = made[row.handle]
    local group = row.kernel.group > 0 and row.kernel.group or nil
    row.kernels, row.job = { row.kernel }, { m = row.shape.m, k = row.shape.k, group = group }
    local part, all = bytes_of(row)
    row.span, row.bytes = row.regime == "warm" and all or 0, part
    row.weights = row.job.m * row.job.k * (row.active or 1)
    row.operations = 2 * row.weights * row.tokens
    limited(row, known)
  end
  return list
end

return rows
