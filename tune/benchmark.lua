-- benchmark: Google Benchmark's statistics over kernels that run in the child (measure.lua). A row that crashes or
-- hangs is a failure, and the next one has a new child; Ctrl-C ends all that is left, and what was done is reported.

local ffi = require "ffi"
local linux = require "linux"
local native = require "native"
local measure = require "measure"

local benchmark = {}

local patience, slower = 120, 20 -- seconds for one request, and how much longer than expected it may take

-- Google Benchmark as a library: shim.h's functions. root: of the project.
function benchmark.load(root, library) return native.bench(root, library) end

-- Options as C takes them, and how many.
function benchmark.words(options) return ffi.new("const char *[?]", #options + 1, options), #options end

local function sampled(m, row, iterations, out)
  local ceiling = row.ceiling and row.ceiling(m) or 0
  local answer, why = measure.count(m, row, iterations, patience + slower * (row.expected or 0) * iterations)
  if not answer then error(why, 0) end
  row.expected = answer.seconds / iterations
  out.seconds, out.cpu_seconds, out.ceiling = answer.seconds, answer.cpu, ceiling
end

-- What Google Benchmark calls: never throws, since C++ stands between.
local function callback(m, rows, watch)
  return ffi.cast("tri_bench_fn *", function(arg, iterations, out)
    local row = rows[tonumber(ffi.cast("intptr_t", arg))]
    if row.failed or linux.interrupted() then return 0 end
    local ok, why = pcall(function()
      watch(row)
      sampled(m, row, tonumber(iterations), out)
    end)
    if not ok and why ~= measure.interruption then row.failed = tostring(why) end
    watch(nil)
    return ok and 1 or 0
  end)
end

-- Rows: as measure.count takes them, with a name. For reports: bytes, weights, operations of one token or batch; and
-- limit, "read" or "peak", with ceiling(m), what is measured as such (bytes or operations a second). options: of Google
-- Benchmark. shown: whether it prints. watch(row or nil): a row begins, or ends. Returns nanoseconds for all tokens by
-- name, the least of all repetitions, or nil if an option is wrong, as Google Benchmark said. Sets row.failed.
function benchmark.run(m, bench, rows, options, shown, watch)
  local fn = callback(m, rows, watch or function() end)
  for i, r in ipairs(rows) do
    bench.tri_bench_add(ffi.new("struct tri_bench_row", { r.name, fn, ffi.cast("void *", ffi.cast("intptr_t", i)),
      r.bytes or 0, r.weights or 0, r.operations or 0, r.limit }))
  end
  local words, count = benchmark.words(options)
  local n = bench.tri_bench_run(words, count, shown and 1 or 0)
  local best = {}
  for i = 0, n - 1 do
    local r = bench.tri_bench_result(i)
    local name = ffi.string(r.name)
    best[name] = math.min(best[name] or math.huge, r.ns)
  end
  bench.tri_bench_clear()
  fn:free()
  return n >= 0 and best or nil
end
jit.off(benchmark.run) -- a compiled call of C may not call back

return benchmark
