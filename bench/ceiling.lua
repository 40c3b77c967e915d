-- ceiling: how near this machine's kernels come to what the machine can do: which rows there are, which kernel stands
-- for a row, and each row's share of a baseline measured beside it. Clock and compiler are the caller's (limits.lua).

local space = require "space"
local emit = require "emit"
local race = require "race"
local candidates = require "candidates"
local measure = require "measure"
local cuts = require "cuts"

local ceiling = {}

local shapes = { { m = 2560, k = 2560 }, { m = 6912, k = 2560 }, { m = 2560, k = 6912 } }
local job = shapes[2]             -- what kernels race on, and what batches are measured on
local some, many = 48, 512        -- tokens of a batch when racing and when measured, or what a kernel makes of them
local most_rounds, best_of = 9, 4 -- best_of: samples in a round, as many as the baseline takes
local finalists = 6
local steps = 64                  -- tokens up to which a plan should have no cliff

-- -- units: who multiplies ---------------------------------------------------------------------------------

-- What a CPU must have for a row, told by what the tables of its ISAs offer, and the code of the weights.
local units = {
  { key = "words", code = "q2", family = "mad", what = "dot products of bytes in registers of 512 bits",
    fits = function(isa) return isa.bits == 512 and isa.dot and not isa.dot16 end },
  { key = "bytes", code = "f5", family = "mad", what = "permutations of bytes over 64 entries",
    fits = function(isa) return isa.bits == 512 and isa.five_first and isa.table_entries == 64 end },
  { key = "pairs", code = "q2", family = "mad", what = "products of bytes, added in pairs, in registers of 256 bits",
    fits = function(isa) return isa.bits == 256 and isa.dot16 end },
  { key = "tiles", code = "q2", family = "tile", what = "products of tiles beside registers of 512 bits",
    fits = function(isa) return isa.bits == 512 and isa.tile end },
}

local function first_fit(names, unit)
  for _, name in ipairs(names) do if unit.fits(space.isa(name)) then return name end end
end

-- { key = { isa =, pool =, code =, what = } }; isa and pool are nil where none of `present` fits.
local function units_of(present)
  local found = {}
  for _, unit in ipairs(units) do
    local isa = first_fit(present, unit)
    found[unit.key] = { isa = isa, code = unit.code, family = unit.family, what = unit.what,
      pool = isa and candidates.new { present = present, isas = { isa }, families = { unit.family } } }
  end
  return found
end

-- The rows in their order: { name, kind, unit, and for what is compared with another unit, over }.
function ceiling.rows()
  local pairs_isa, tiles_isa = first_fit(space.isas(), units[3]), first_fit(space.isas(), units[4])
  return {
    { name = "decode-2bit", kind = "decode", unit = "words" },
    { name = "decode-1.6bit", kind = "decode", unit = "bytes" },
    { name = "decode-1.6-over-2", kind = "ratio", unit = "bytes", over = "words" },
    { name = "decode-" .. pairs_isa, kind = "decode", unit = "pairs" },
    { name = "prompt-" .. tiles_isa, kind = "prompt", unit = "tiles" },
    { name = "prompt-vnni", kind = "prompt", unit = "words" },
    { name = "prompt-" .. pairs_isa, kind = "prompt", unit = "pairs" },
    { name = "batch4-over-1", kind = "batch", unit = "words" },
    { name = "batch-cliff", kind = "cliff", unit = "words" },
  }
end

-- -- who stands for a unit -------------------------------------------------------------------------------------

local function by_time(entries)
  local list = {}
  for _, e in ipairs(entries) do if e.ns then list[#list + 1] = e end end
  table.sort(list, function(a, b)
    if a.ns ~= b.ns then return a.ns < b.ns end
    return candidates.simpler(a.item, b.item)
  end)
  return list
end

local function items(entries, most, within)
  local list = {}
  for i, e in ipairs(entries) do
    if i <= most and e.ns <= entries[1].ns * (within or 2) then list[#list + 1] = e.item end
  end
  return list
end

-- Those of `list` that are right, raced in samples of `seconds`: entries, the fastest first.
local function raced(b, list, tokens, shape, deadline, seconds)
  local function late() return b.now() > deadline end
  local right = b.prove(list, b.now() + 0.8 * (deadline - b.now()))
  local entries = race.run(right, { rounds = 10, grace = 2, least = 1, reference = right[1], late = late,
    sample = function(c) return b.time(c, shape, measure.whole(c, tokens), seconds or 0.003) end })
  return by_time(entries)
end

-- Kernels of a unit, for one token or for more, that `wanted` is true of; what is likely to be fast first, since
-- time may not suffice for all.
local function tiles(unit, batches, wanted)
  local list = {}
  for _, c in ipairs(candidates.tiles(unit.pool, batches)) do
    if c.point.c == unit.code and wanted(c) then list[#list + 1] = c end
  end
  local place = {}
  for i, c in ipairs(list) do place[c] = i end
  table.sort(list, function(x, y)
    if x.tokens ~= y.tokens then return x.tokens > y.tokens end
    local p, q = math.abs(x.point.r - 64) + 64 - x.point.m, math.abs(y.point.r - 64) + 64 - y.point.m
    if p ~= q then return p < q end
    return place[x] < place[y]
  end)
  return list
end

-- Tiles first, then what differs from the best two in a fine parameter.
local function contenders(b, unit, batches, tokens, deadline, wanted)
  local middle = b.now() + 0.6 * (deadline - b.now())
  local entries = raced(b, tiles(unit, batches, wanted), tokens, job, middle)
  local near = items(entries, finalists)
  for i = 1, b.now() < deadline and math.min(3, #near) or 0 do
    for _, c in ipairs(candidates.neighbours(unit.pool, near[i])) do near[#near + 1] = c end
  end
  return items(raced(b, near, tokens, job, deadline), finalists)
end

-- -- measuring -------------------------------------------------------------------------------------------------

-- The least of some samples of c, each `seconds` long.
local function least(b, c, shape, tokens, seconds)
  local best = math.huge
  for _ = 1, best_of do
    local ns, why = b.time(c, shape, tokens, seconds)
    if not ns then error(c.name .. ": " .. why, 0) end
    best = math.min(best, ns)
  end
  return best
end

-- Calls every sampler once a round, in order, for `fewest` rounds at least: the least that each of them returned.
local function rounds(b, samplers, deadline, progress, fewest)
  local best = {}
  for round = 1, most_rounds do
    for i, sample in ipairs(samplers) do
      best[i] = math.min(best[i] or math.huge, sample())
      progress(round, i, #samplers)
    end
    if b.now() > deadline and round >= (fewest or 1) then break end
  end
  return best
end

local function add(t, row, shape, threads, kernel, value, baseline, unit)
  t.rows[#t.rows + 1] = { row = row.name, shape = shape and ("%dx%d"):format(shape.m, shape.k) or "all",
    threads = threads, kernel = kernel, value = value, baseline = baseline, unit = unit }
end

local function rows_of(kind)
  local list = {}
  for _, row in ipairs(ceiling.rows()) do if row.kind == kind then list[#list + 1] = row end end
  return list
end

-- Whether any row is about a unit's kernels for one token.
local function decodes(unit)
  for _, row in ipairs(ceiling.rows()) do if row.unit == unit.key and row.kind ~= "prompt" then return true end end
  return false
end

local function progress_of(b, what)
  return function(round, i, n) b.progress(("%s: round %d, %d/%d"):format(what, round, i, n)) end
end

-- Shares of the read bandwidth, all units in turns on every shape, the baseline before each turn; and from the
-- same samples the weights a second of one unit over another's.
local function decode(b, t, finals, threads, deadline)
  local samplers, of = {}, {}
  local pass = b.memory / b.read() * 1e-9 -- seconds: samples last as long as one of the baseline
  local function sampler(key, f)
    samplers[#samplers + 1] = f
    of[key] = #samplers
  end
  local winner = {}
  for s, shape in ipairs(shapes) do
    sampler("read" .. s, function() return 1 / b.read() end)
    for _, unit in ipairs(units) do
      local entries = finals[unit.key] and raced(b, finals[unit.key], 1, shape, b.now() + b.budget / 60, 0.01) or {}
      local c = entries[1] and entries[1].item
      if c then
        winner[unit.key .. s] = c
        sampler(unit.key .. s, function() return least(b, c, shape, 1, pass) end)
      end
    end
  end
  local best = rounds(b, samplers, deadline, progress_of(b, ("decoding, threads %d"):format(threads)))
  for _, row in ipairs(rows_of("decode")) do
    for s, shape in ipairs(shapes) do
      local c, read = winner[row.unit .. s], 1 / best[of["read" .. s]]
      if c then
        local gbps = measure.bytes(shape, c.layout) / best[of[row.unit .. s]]
        add(t, row, shape, threads, c.name, gbps / read, read, "GB/s read")
      end
    end
  end
  for _, row in ipairs(rows_of("ratio")) do
    local weights, ns, over, names, seen = 0, 0, 0, {}, {}
    for s, shape in ipairs(shapes) do
      local c, base = winner[row.unit .. s], of[row.over .. s]
      if not c or not base then return end
      weights = weights + shape.m * shape.k
      ns, over = ns + best[of[row.unit .. s]], over + best[base]
      if not seen[c.name] then names[#names + 1] = c.name end
      seen[c.name] = true
    end
    add(t, row, nil, threads, table.concat(names, ","), over / ns, weights / over, "10^9 weights/s")
  end
end

-- The share of what the unit's products reach in registers, and how much of it a rival's product of the same size does.
local function prompt(b, t, row, unit, c, rival, deadline)
  local peak = b.peak(emit.peak(unit.family, unit.isa, c.layout.name), c.layout)
  local samplers = {
    function() return least(b, peak, job, peak.tokens, 0.02) end,
    function() return least(b, c, job, measure.whole(c, many), 0.02) end,
  }
  if rival then samplers[3] = function() return rival.time(job, many) end end
  local best = rounds(b, samplers, deadline, progress_of(b, row.name))
  local top = 2 * job.m * job.k / best[1]
  add(t, row, job, 1, c.name, best[1] / best[2], top, "10^9 op/s in registers")
  if rival then
    add(t, { name = row.name .. "-" .. rival.name }, job, 1, rival.kernel, best[1] / best[3], top,
      "10^9 op/s in registers")
  end
end

-- Four tokens against one, in one layout: of those that decode within 2 % of the fastest, the best for four.
local function batch(b, t, row, unit, singles, at)
  local one = {}
  for _, e in ipairs(singles) do
    local layout = e.item.layout.name
    if e.ns <= 1.02 * singles[1].ns and not one[layout] then one[layout] = e.item end
  end
  local four = contenders(b, unit, true, 4, at(0.57), function(c) return c.tokens == 4 and one[c.layout.name] end)[1]
  if not four then return end
  local single = one[four.layout.name]
  local best = rounds(b, {
    function() return least(b, single, job, 1, 0.02) end,
    function() return least(b, four, job, 4, 0.02) end,
  }, at(0.6), progress_of(b, row.name))
  add(t, row, job, 1, four.name, best[1] / (4 * best[2]), best[1] / 1000, "us for one token")
end

-- A plan on the layout that decodes best: the fastest kernel for each number of tokens in a batch, as far as they
-- earn their place; and what a call of each costs.
local function plan_of(b, unit, single, deadline)
  local list = tiles(unit, true, function(c) return c.layout.name == single.layout.name end)
  local right = b.prove({ single, unpack(list) }, b.now() + 0.7 * (deadline - b.now()))
  local entries = race.run(right, { rounds = 5, least = 1, reference = single,
    group = function(c) return c.tokens end, late = function() return b.now() > deadline end,
    sample = function(c) return b.time(c, job, math.floor(some / c.tokens) * c.tokens, 0.003) end })
  local best, kernels, costs = {}, {}, {}
  for _, e in ipairs(by_time(entries)) do best[e.item.tokens] = best[e.item.tokens] or e end
  for tokens = 1, some do
    local e = best[tokens]
    if e then kernels[#kernels + 1] = { tokens = tokens, cost = e.ns * tokens, item = e.item } end
  end
  kernels = cuts.keep(kernels)
  for i, k in ipairs(kernels) do kernels[i], costs[i] = k.item, k.cost end
  return kernels, costs
end

-- How much longer one token more takes at most, weights from memory as in a short prompt: with which kernel, and beside
-- the growth of the number of tokens, which is what the multipliers need more.
local function cliff(b, t, row, unit, single, at)
  local kernels, costs = plan_of(b, unit, single, at(0.64))
  local samplers, worst, last = {}, 0, 1
  for n = 1, steps do
    samplers[n] = function() return n * (b.plan(kernels, costs, job, n, 0.005) or math.huge) end
  end
  local best = rounds(b, samplers, at(0.68), progress_of(b, row.name), 4)
  for n = 1, steps - 1 do
    if best[n + 1] / best[n] > worst then worst, last = best[n + 1] / best[n], n end
  end
  local kernel = kernels[1]
  for _, c in ipairs(kernels) do if c.tokens <= last + 1 then kernel = c end end
  add(t, row, job, 1, kernel.name, worst, (last + 1) / last, ("tokens, from %d to %d"):format(last, last + 1))
end

-- -- all ---------------------------------------------------------------------------------------------------------

-- What is absent, and why: { row name, sentence }.
local function note_absent(t, found)
  local has = {}
  for _, r in ipairs(t.rows) do has[r.row] = true end
  for _, row in ipairs(ceiling.rows()) do
    local unit = found[row.unit]
    if not has[row.name] then
      t.absent[#t.absent + 1] = { row.name, unit.isa and "no kernel of " .. unit.isa .. " was right in time" or
        "this CPU has no " .. unit.what }
    end
  end
end

local function in_order(t)
  local place = {}
  for i, row in ipairs(ceiling.rows()) do place[row.name] = i end
  for i, r in ipairs(t.rows) do
    r.at, r.place = i, place[r.row] or t.rows[i - 1].place -- a rival's beside ours
  end
  table.sort(t.rows, function(x, y)
    if x.place ~= y.place then return x.place < y.place end
    return x.at < y.at
  end)
  for _, r in ipairs(t.rows) do r.at, r.place = nil, nil end
end

local function batches(b, t, found, singles, at)
  local rival = b.rival -- beside the first row alone: on any CPU it takes the best unit there is
  for i, row in ipairs(rows_of("prompt")) do
    local unit = found[row.unit]
    if unit.isa and emit.has_peak(unit.family, space.isa(unit.isa)) then
      local list = contenders(b, unit, true, some, at(0.21 + 0.09 * i), function(c) return c.tokens >= 4 end)
      local entries = raced(b, list, many, job, at(0.23 + 0.09 * i))
      if entries[1] then
        prompt(b, t, row, unit, entries[1].item, rival, at(0.24 + 0.09 * i))
        rival = nil
      end
    end
  end
  for _, row in ipairs(rows_of("batch")) do
    local list = singles[row.unit]
    if list and list[1] then batch(b, t, row, found[row.unit], list, at) end
  end
  for _, row in ipairs(rows_of("cliff")) do
    local list = singles[row.unit]
    if list and list[1] then cliff(b, t, row, found[row.unit], list[1].item, at) end
  end
end

-- All rows into t (rows, absent), as they come: a caller who is interrupted has those that are done. b:
--   present, cores, budget         ISAs of this CPU (ascending rank), its cores, seconds
--   now()                          seconds
--   open(threads)                  from now on that many threads measure; b.memory: the bytes they read
--   read()                         GB/s of reading alone, best of `best_of` passes over the memory
--   prove(list, deadline)          those of the list that compile and are right; the first whatever it takes
--   time(c, job, tokens, seconds)  nanoseconds per matrix and token, or nil and why
--   plan(kernels, costs, job, tokens, seconds)   the same for kernels together, cut by what calls of them cost
--   peak(record, layout)           emit.peak's record as something to time
--   rival                          another library to compare batches with, or nil: name, kernel (what to call it),
--                                  time(job, tokens), nanoseconds per matrix and token on one thread
--   progress(text)
function ceiling.measure(b, t)
  local begin, found, finals, singles = b.now(), units_of(b.present), {}, {}
  local function at(part) return begin + part * b.budget end
  t.rows, t.absent = {}, {}
  b.open(1)
  for i, unit in ipairs(units) do
    if found[unit.key].isa and decodes(unit) then
      b.progress("looking for kernels of " .. found[unit.key].isa)
      local list = contenders(b, found[unit.key], false, 1, at(0.08 * i), function() return true end)
      finals[unit.key] = list
      singles[unit.key] = raced(b, list, 1, job, b.now() + b.budget / 60, 0.01)
    end
  end
  batches(b, t, found, singles, at)
  decode(b, t, finals, 1, at(0.8))
  if b.cores > 1 then
    b.open(b.cores)
    decode(b, t, finals, b.cores, at(1))
  end
  note_absent(t, found)
  in_order(t)
end

return ceiling
