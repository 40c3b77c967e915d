-- defaults: what a CPU that nobody tuned should run, for each instruction set: the kernels that were best on average
-- over all machines measured, each in proportion to what that machine's best kernel of the set took. Whole kernels are
-- compared, not parameters one by one. gen/untuned.lua reads the result.

local candidates = require "candidates"
local dispatch = require "dispatch"
local emit = require "emit"
local host = require "host"
local linux = require "linux"
local name = require "name"
local race = require "race"
local records = require "records"
local space = require "space"
local store = require "store"
local untuned = require "untuned"

local defaults = { summary = "What untuned CPUs should run, from all that was measured (results/defaults.lua)." }

local columns_enough = 131072 -- a default must take any model's rows
local most_kernels = 8        -- of gen/plan.lua

function defaults.options(parser)
  parser:argument("files", "Files of export, beside the measurements in --results."):args("*"):argname("FILE")
  parser:option("-o --output", "File to write (default: defaults.lua in --results; -: standard output).")
    :argname("FILE")
end

-- -- what was measured ---------------------------------------------------------------------------------------

-- ns of what was measured on a machine: by point's name, then by what was asked (shape, threads).
local function timings_of(list)
  local times, known = {}, {}
  for _, r in ipairs(list) do
    if r.kind == "decode" or r.kind == "prompt" then
      local point = name.parse(r.name)
      if known[r.name] == nil then known[r.name] = point and emit.kernel(point).hash or false end
      if known[r.name] == r.hash and #r.ns > 0 then
        local what = ("%s %dx%d %s %d"):format(r.kind, r.m, r.k, tostring(r.span), r.threads)
        times[r.name] = times[r.name] or {}
        times[r.name][what] = math.min(times[r.name][what] or math.huge, race.fastest(r.ns))
      end
    end
  end
  return times
end

-- Whether `isa` is `other`, or takes words from it.
local function takes_from(isa, other)
  while isa and isa ~= other do isa = space.isa(isa).like end
  return isa ~= nil
end

-- A machine's timings of the kernels that an ISA would run: by the kernel's name on that ISA.
local function timings_on(machine, isa)
  local pool, out = { present = machine.present }, {}
  for text, times in pairs(machine.times) do
    local point = name.parse(text)
    local twin = takes_from(isa, point.isa) and candidates.twin(pool, point, isa)
    if twin then out[name.of(twin)] = times end
  end
  return out
end

-- The machines of some files of records.load, each CPU once: { cpu, present, times }.
function defaults.machines(files)
  local by, machines = {}, {}
  for _, file in ipairs(files) do
    local m = by[file.cpu]
    if not m then
      m = { cpu = file.cpu, list = {}, present = {} }
      by[file.cpu], machines[#machines + 1] = m, m
    end
    for _, record in ipairs(file.list) do m.list[#m.list + 1] = record end
  end
  for _, m in ipairs(machines) do
    local kept = store.of(m.list)
    local last = kept.runs[#kept.runs]
    m.present, m.times, m.list = last and last.present or {}, timings_of(m.list), nil
  end
  table.sort(machines, function(a, b) return a.cpu < b.cpu end)
  return machines
end

-- -- how good each kernel was --------------------------------------------------------------------------------

-- The least time for each thing that was asked.
local function best_of(times)
  local best = {}
  for _, of in pairs(times) do
    for what, ns in pairs(of) do best[what] = math.min(best[what] or math.huge, ns) end
  end
  return best
end

local function of_kind(best, kind)
  local n = 0
  for what in pairs(best) do if what:match("^%a+") == kind then n = n + 1 end end
  return n
end

-- The mean share of the best that a kernel reached on one machine, in work of one kind; nil if it was not asked for
-- half of it. As batches, a kernel for one token is what it is alone.
local function share_of(of, best, kind)
  local sum, n = 0, 0
  for what, least in pairs(best) do
    local ns = what:match("^%a+") == kind and (of[what] or of[what:gsub("^prompt", "decode")])
    if ns then sum, n = sum + least / ns, n + 1 end
  end
  return n > 0 and 2 * n >= of_kind(best, kind) and sum / n or nil
end

-- For one ISA, { [name] = { decode, prompt: mean shares over machines; machines: how many } }, and whose they are.
local function shares(machines, isa)
  local sums, cpus = {}, {}
  for _, m in ipairs(machines) do
    local times = timings_on(m, isa)
    local best = best_of(times)
    if next(times) then cpus[#cpus + 1] = m.cpu end
    for text, of in pairs(times) do
      for _, kind in ipairs { "decode", "prompt" } do
        local share = share_of(of, best, kind)
        local s = sums[text] or { point = name.parse(text) }
        sums[text] = s
        if share then s[kind], s[kind .. "_on"] = (s[kind] or 0) + share, (s[kind .. "_on"] or 0) + 1 end
      end
    end
  end
  for _, s in pairs(sums) do
    for _, kind in ipairs { "decode", "prompt" } do s[kind] = s[kind] and s[kind] / s[kind .. "_on"] end
  end
  return sums, cpus
end

-- -- the choice ----------------------------------------------------------------------------------------------

-- What was measured on more machines is believed more; then the greater share counts, then the simpler kernel.
local function better(a, b, kind)
  if not b then return true end
  if a[kind .. "_on"] ~= b[kind .. "_on"] then return a[kind .. "_on"] > b[kind .. "_on"] end
  if a[kind] ~= b[kind] then return a[kind] > b[kind] end
  return candidates.simpler({ point = a.point, name = name.of(a.point) }, { point = b.point, name = name.of(b.point) })
end

-- By layout, the best kernel for each number of tokens.
local function by_layout(sums)
  local layouts = {}
  for _, s in pairs(sums) do
    local layout, tokens = space.family(s.point.family).layout(s.point), s.point.n or 1
    local kind = tokens == 1 and "decode" or "prompt"
    if s[kind] and emit.kernel(s.point).kmax >= columns_enough then
      local of = layouts[layout] or {}
      layouts[layout] = of
      if better(s, of[tokens], kind) then of[tokens] = s end
    end
  end
  return layouts
end

-- The kernels of a layout, each for more tokens better than the last; nil if it has none for decoding or for batches.
local function listed(of)
  local single = of[1]
  if not single then return nil end
  local list, prompt, order = { single }, single.prompt or 0, {}
  for tokens in pairs(of) do if tokens > 1 then order[#order + 1] = tokens end end
  table.sort(order)
  for _, tokens in ipairs(order) do
    if of[tokens].prompt > prompt * (1 + race.noise) and #list < most_kernels then
      list[#list + 1], prompt = of[tokens], of[tokens].prompt
    end
  end
  if #list == 1 then return nil end
  return list, prompt
end

local function entry_of(isa, layout, list, prompt, cpus)
  local entry = { isa = isa, layout = layout, decode = list[1].decode, prompt = prompt, cpus = cpus, kernels = {} }
  for i, s in ipairs(list) do
    local k, kind = emit.kernel(s.point), i == 1 and "decode" or "prompt"
    entry.kernels[i] = { tokens = k.tokens, name = k.name, hash = k.hash, mean = s[kind], machines = s[kind .. "_on"] }
  end
  return entry
end

-- An ISA's entry; nil if nothing was measured, or not beside what would run otherwise. Decoding weighs twice, as in
-- --objective balanced.
local function entry_for(machines, isa)
  local sums, cpus = shares(machines, isa)
  local best, most, seen_on = nil, 0, 0
  local otherwise = untuned.otherwise(isa)[1]
  if not otherwise or not (sums[name.of(otherwise)] or {}).decode then return nil end
  local layouts, order = by_layout(sums), {}
  for layout in pairs(layouts) do order[#order + 1] = layout end
  table.sort(order)
  for _, layout in ipairs(order) do
    local list, prompt = listed(layouts[layout])
    local score, on = list and list[1].decode ^ 2 * prompt, list and list[1].decode_on
    if list and (on > seen_on or on == seen_on and score > most) then
      best, most, seen_on = entry_of(isa, layout, list, prompt, cpus), score, on
    end
  end
  return best
end

-- The entries for all ISAs that some machine has.
function defaults.of(machines)
  local list, has = {}, {}
  for _, m in ipairs(machines) do for _, isa in ipairs(m.present) do has[isa] = true end end
  for _, isa in ipairs(space.isas()) do list[#list + 1] = has[isa] and entry_for(machines, isa) or nil end
  return list
end

-- -- text ----------------------------------------------------------------------------------------------------

local entry_keys = { "isa", "layout", "decode", "prompt" }
local kernel_keys = { "tokens", "name", "hash", "mean", "machines" }

local function entry_text(entry)
  local lines = { "  { " .. table.concat(dispatch.fields(entry, entry_keys), ", ") .. "," }
  for _, cpu in ipairs(entry.cpus) do lines[#lines + 1] = "    -- " .. cpu:gsub("%c", " ") end
  lines[#lines + 1] = "    kernels = {"
  for _, k in ipairs(entry.kernels) do
    lines[#lines + 1] = "      { " .. table.concat(dispatch.fields(k, kernel_keys), ", ") .. " },"
  end
  lines[#lines + 1] = "    } },"
  return table.concat(lines, "\n")
end

function defaults.text(list)
  local lines = {}
  for i, entry in ipairs(list) do lines[i] = entry_text(entry) end
  return ([[
-- What a CPU that nobody tuned runs, by instruction set: made by `luajit tune/tune.lua defaults` from the measurements
-- of the CPUs named. Data, read and never executed. mean: what share of the speed of each machine's best kernel of that
-- set this one reached, on average; machines: on how many; decode, prompt: of the whole entry.
return {
%s
}
]]):format(table.concat(lines, "\n"))
end

-- -- the command ---------------------------------------------------------------------------------------------

local function measured_in(results)
  local paths, pipe = {}, io.popen("ls " .. host.quote(results) .. " 2>/dev/null")
  for folder in pipe:lines() do
    local path = ("%s/%s/measurements.jsonl"):format(results, folder)
    if linux.read(path, 1) then paths[#paths + 1] = path end
  end
  pipe:close()
  return paths
end

function defaults.run(o)
  local paths, files = measured_in(o.results), {}
  for _, path in ipairs(o.files or {}) do paths[#paths + 1] = path end
  for i, path in ipairs(paths) do
    local file, why = records.load(path)
    if not file then return nil, why end
    files[i] = file
  end
  local machines = defaults.machines(files)
  local list = defaults.of(machines)
  if #list == 0 then return nil, o.results .. ": nothing is measured there that still holds" end
  local path = o.output or o.results .. "/defaults.lua"
  return records.deliver(path ~= "-" and path or nil, defaults.text(list),
    ("%s: %d instruction sets, from %d CPUs\n"):format(path, #list, #machines))
end

return defaults
