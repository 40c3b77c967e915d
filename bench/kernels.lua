-- kernels: Google Benchmark's rows for the kernels of this machine's dispatch table, as they run in a model.
--   luajit bench/kernels.lua [--build DIR] [--table FILE] [--threads N] [--benchmark_OPTION ...]

local here = arg[0]:match("^(.*/)[^/]*$") or "./"
package.path = here .. "../tune/?.lua;" .. here .. "../gen/?.lua;" .. package.path

local host = require "host"
local build = require "build"
local measure = require "measure"
local dispatch = require "dispatch"
local emit = require "emit"
local name = require "name"

local function die(...)
  io.stderr:write("kernels: ", table.concat({ ... }), "\n")
  os.exit(1)
end

local function options(words)
  local o, rest, i = { build = host.root .. "build" }, {}, 1
  while words[i] do
    local key = words[i]:match("^%-%-(%a+)$")
    if key == "build" or key == "table" or key == "threads" then
      o[key] = words[i + 1] or die(words[i], " wants a value")
      i = i + 1
    elseif words[i]:match("^%-%-benchmark_") then rest[#rest + 1] = words[i]
    else die("'", words[i], "' is not understood; see the first lines of bench/kernels.lua") end
    i = i + 1
  end
  return o, rest
end

local function rows_of(t, builder)
  local rows, known = {}, {}
  for _, job in ipairs(t.jobs) do
    for _, entry in ipairs(dispatch.current(job) and job.kernels or {}) do
      local k = emit.kernel(name.parse(entry.name))
      known[k.name] = known[k.name] or build.candidate(k, emit.layout(k.layout))
      build.all(builder, { known[k.name] }, math.huge)
      rows[#rows + 1] = { name = dispatch.key(job) .. " " .. k.name, kernels = { known[k.name] }, tokens = k.tokens,
        job = job }
    end
  end
  return rows
end

local function main()
  local o, rest = options(arg)
  local path = o.table or host.dispatch() or die("this machine has no table yet: luajit tune/tune.lua")
  local t, why = dispatch.read(path)
  if not t then die(why or path .. ": no such file") end
  local compiler = host.compiler() or die("no C compiler: '", host.cc(), "' cannot be run")
  local rows = rows_of(t, build.new(o.build .. "/tune-cache", compiler, 2))
  local m = measure.new { root = host.root, library = o.build .. "/libtri_tune.so", threads = o.threads or t.threads }
  local ns
  ns, why = measure.bench(m, o.build .. "/libtri_bench.so", rows, rest)
  if not ns then die(why) end
  for _, row in ipairs(rows) do
    local one = ns[row.name]
    if one then
      print(("%-64s %10.0f ns  %6.2f GB/s"):format(row.name, one * row.tokens,
        measure.bytes(row.job, row.kernels[1].layout) / (one * row.tokens)))
    end
  end
  measure.close(m)
end

main()
