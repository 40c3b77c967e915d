-- predict: what decoding costs on CPUs that are not here: the operations of each ISA's default kernel for one token,
-- counted in its hot loop, and the cycles that llvm-mca predicts for it on models of cores. Nothing is measured.
--   lua bench/predict.lua [--json] [KERNEL ...]

local here = arg[0]:match("^(.*/)[^/]*$") or "./"
package.path = here .. "?.lua;" .. here .. "../gen/?.lua;" .. package.path

local space = require "space"
local name = require "name"
local untuned = require "untuned"
local emit = require "emit"
local loop = require "loop"

local UNSUPPORTED, USAGE = 4, 2

local weights = 256 -- what operations and cycles are counted for

-- Cores whose models llvm-mca has, and the compiler's option for one of them. gcc 12 does not know Zen 4, which has the
-- vectors of Ice Lake.
local architectures = {
  { name = "x86_64", option = "-march=", stands_in = { znver4 = "icelake-server" },
    cores = { "haswell", "skylake-avx512", "icelake-server", "sapphirerapids", "znver4" } },
  { name = "aarch64", option = "-mcpu=", stands_in = {}, cores = { "neoverse-n1", "neoverse-n2", "neoverse-v1" } },
}

local function say(...) io.stderr:write("predict: ", string.format(...), "\n") end

local function run(command)
  local pipe = io.popen(command)
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local function first_of(programs)
  for _, program in ipairs(programs) do
    if run("command -v " .. program) ~= "" then return program end
  end
end

local function write(text)
  local path = os.tmpname()
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
  return path
end

-- The compiler for an architecture: the system's own, or Debian's cross compiler.
local function compiler_of(architecture)
  local own = run("uname -m"):match("%S+") == architecture
  return first_of { own and "gcc" or architecture .. "-linux-gnu-gcc" }
end

local function assembly(compiler, k)
  local path = write(k.code)
  local text = run(("%s -std=gnu11 -O3 -ffp-contract=off %s -x c -S -o - %s 2>/dev/null"):format(compiler, k.cflags,
    path))
  os.remove(path)
  return text
end

-- The instruction sets that flags allow, as the macros of the compiler say.
local function features(compiler, flags)
  local set = {}
  for macro in run(("%s %s -x c -dM -E /dev/null 2>/dev/null"):format(compiler, flags)):gmatch("#define (%S+)") do
    set[macro] = true
  end
  return set
end

-- Whether a core has all that the flags of an ISA ask for: models of cores would time what the core does not have.
local function has(architecture, compiler, core, cflags)
  local have = features(compiler, architecture.option .. (architecture.stands_in[core] or core))
  local always = features(compiler, "")
  for macro in pairs(features(compiler, cflags)) do
    if not have[macro] and not always[macro] then return false end
  end
  return true
end

-- Cycles of one turn of a loop on a core, once it runs steadily; nil if the model cannot tell.
local function cycles(mca, architecture, core, body)
  local path = write("\t" .. table.concat(body, "\n\t") .. "\n")
  local text = run(("%s -mtriple=%s-linux-gnu -mcpu=%s %s 2>/dev/null"):format(mca, architecture, core, path))
  os.remove(path)
  local turns, total = text:match("Iterations:%s+(%d+)"), text:match("Total Cycles:%s+(%d+)")
  return turns and total and tonumber(total) / tonumber(turns)
end

-- What is known of a kernel, per 256 weights; nil if it has no loop that computes vectors.
local function row_of(architecture, compiler, mca, point)
  local k = emit.kernel(point)
  local body = loop.hottest(assembly(compiler, k))
  if not body then return nil end
  local per = weights / (point.m * (point.u or 1) * emit.layout(k.layout).kstep)
  local row = { isa = k.isa, kernel = k.name, predicted = {} }
  for key, n in pairs(loop.count(body)) do row[key] = n * per end
  for _, core in ipairs(architecture.cores) do
    local n = mca and has(architecture, compiler, core, k.cflags) and cycles(mca, architecture.name, core, body)
    row.predicted[core] = n and n * per
  end
  return row
end

local function points_of(architecture, wanted)
  local list = {}
  for _, isa in ipairs(space.isas(architecture)) do
    if #wanted == 0 and space.isa(isa).arch == architecture then list[#list + 1] = untuned.points(isa)[1] end
  end
  for _, point in ipairs(wanted) do
    if space.isa(point.isa).arch == architecture then list[#list + 1] = point end
  end
  return list
end

-- -- output ----------------------------------------------------------------------------------------------------

local function cell(n) return n and ("%.1f"):format(n) or "-" end

local function print_table(architecture, rows)
  local lines = { { "isa", "alu", "loads", "all" } }
  for _, core in ipairs(architecture.cores) do table.insert(lines[1], core) end
  for _, row in ipairs(rows) do
    local line = { row.isa, cell(row.alu), cell(row.loads), cell(row.all) }
    for _, core in ipairs(architecture.cores) do line[#line + 1] = cell(row.predicted[core]) end
    lines[#lines + 1] = line
  end
  table.insert(lines[1], "kernel")
  for i, row in ipairs(rows) do table.insert(lines[i + 1], row.kernel) end
  io.write(("%s, decoding, per %d weights: operations counted; cycles predicted, not measured\n"):format(
    architecture.name, weights))
  for _, line in ipairs(lines) do
    local text = ("%-12s"):format(line[1])
    for i = 2, #line - 1 do text = text .. (" %" .. math.max(6, #lines[1][i]) .. "s"):format(line[i]) end
    io.write(text, "  ", line[#line], "\n")
  end
  io.write("\n")
end

local function json(architecture, row)
  local predicted = {}
  for _, core in ipairs(architecture.cores) do
    local n = row.predicted[core]
    if n then predicted[#predicted + 1] = ('"%s":%.2f'):format(core, n) end
  end
  return ('{"isa":"%s","kernel":"%s","weights":%d,"alu":%.2f,"loads":%.2f,"all":%.2f,"products":%.2f,"floats":%.2f,'
    .. '"predicted":{%s}}'):format(row.isa, row.kernel, weights, row.alu, row.loads, row.all, row.products, row.floats,
    table.concat(predicted, ","))
end

-- -- one run -----------------------------------------------------------------------------------------------------

local function arguments(words)
  local o = { kernels = {} }
  for _, word in ipairs(words) do
    if word == "--json" then o.json = true
    else
      local point, why = name.parse(word)
      if not point then
        say("%s; usage: predict.lua [--json] [KERNEL ...]", why)
        os.exit(USAGE)
      elseif (point.n or 1) > 1 then
        say("%s is for %d tokens; expected a kernel for one", word, point.n)
        os.exit(USAGE)
      end
      o.kernels[#o.kernels + 1] = point
    end
  end
  return o
end

local function main()
  local o, objects = arguments(arg), {}
  local mca = first_of { "llvm-mca-19", "llvm-mca" }
  if not mca then say("llvm-mca-19 is missing (apt install llvm-19): no cycles are predicted") end
  for _, architecture in ipairs(architectures) do
    local compiler, points, rows = compiler_of(architecture.name), points_of(architecture.name, o.kernels), {}
    if #points > 0 and not compiler then say("no compiler for %s: its kernels are left out", architecture.name) end
    for _, point in ipairs(compiler and points or {}) do
      local row = row_of(architecture, compiler, mca, point)
      if row then rows[#rows + 1] = row else say("%s: no loop to count", name.of(point)) end
    end
    for _, row in ipairs(rows) do objects[#objects + 1] = json(architecture, row) end
    if #rows > 0 and not o.json then print_table(architecture, rows) end
  end
  if o.json then io.write("[", table.concat(objects, ",\n "), "]\n") end
  return #objects > 0 and 0 or UNSUPPORTED
end

os.exit(main())
