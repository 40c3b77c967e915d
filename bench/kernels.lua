-- kernels: Google Benchmark's rows for kernels, made from the registry: those linked, or any that can be generated.
--   luajit bench/kernels.lua [--shapes 2b4t | --model FILE] [--threads 1,2] [--benchmark_filter=REGEX ...] [--help]

local here = arg[0]:match("^(.*/)[^/]*$") or "./"
package.path = here .. "?.lua;" .. here .. "../tune/?.lua;" .. here .. "../gen/?.lua;" .. package.path

local program = require "program"
local FAILED, USAGE, INTERRUPTED = program.FAILED, program.USAGE, program.INTERRUPTED
local BAD_FILE, WRONG = 3, 6
local this = program.new("bench", "kernels")
local die = this.die

local ffi = require "ffi"
local host = require "host"
local linux = require "linux"
local build = require "build"
local measure = require "measure"
local candidates = require "candidates"
local benchmark = require "benchmark"
local shapes = require "shapes"
local screen = require "screen"
local rows_of = require "rows"
local facts = require "facts"

local most_rows = 20000

-- -- options ---------------------------------------------------------------------------------------------------

-- "1,2,4": whole numbers from 1 to most, each once; argparse's way to say what is wrong.
local function numbers(name, most)
  return function(text)
    local list, seen = {}, {}
    for word in (text .. ","):gmatch("([^,]*),") do
      local n = word:match("^%d+$") and tonumber(word)
      if not n or n < 1 or n > most then
        return nil, ("--%s: expected whole numbers from 1 to %d, as in 1,2, found '%s'"):format(name, most, text)
      end
      if not seen[n] then list[#list + 1] = n end
      seen[n] = true
    end
    return list
  end
end

local function parser_of()
  local parser = this.parser("Google Benchmark's rows for kernels, each proven right before it is timed.")
  parser:option("--shapes", "Of a model, or ROWSxCOLUMNS, or several: " .. shapes.known() .. "."):default("2b4t")
  parser:option("--model", "The shapes of a GGUF file instead.")
  parser:option("--threads", "Threads, as in 1,2. Default: 1, 2, 4 ... and one for every core.")
    :convert(numbers("threads", 512))
  parser:option("--batch", "Tokens of batches, each rounded up to what a kernel takes."):default("512")
    :convert(numbers("batch", 4096))
  parser:option("--active", "Fraction of rows or inputs that sparse kernels do not skip."):default("0.5")
    :convert(function(text)
      local n = tonumber(text)
      if n and n > 0 and n <= 1 then return n end
      return nil, ("--active: expected a fraction above 0, up to 1, found '%s'"):format(text)
    end)
  parser:option("--space", "Not the kernels linked, but all that can be generated for this CPU and have this text in "
    .. "their names, as in mad_q2r64_m64n1; those that the filter leaves are compiled.")
  parser:option("--build", "Build directory."):default(host.root .. "build")
  return parser
end

-- Ours, and the words that are Google Benchmark's. nil: help was asked for.
local function options(words)
  local ours, theirs, help = {}, {}, false
  for _, word in ipairs(words) do
    help = help or word == "--help" or word == "-h"
    local list = (word:match("^%-%-benchmark_") or word:match("^%-%-v=")) and theirs or ours
    list[#list + 1] = word
  end
  local parser = parser_of()
  if help then
    io.stdout:write(parser:get_help(), "\nOptions of Google Benchmark:\n")
    return nil, theirs, ours
  end
  return parser:parse(ours), theirs
end

-- Whether Google Benchmark is asked to list names, as it understands the option.
local function listing(words)
  local said = false
  for _, word in ipairs(words) do
    local value = word:match("^%-%-benchmark_list_tests(.*)$")
    value = value and value:lower():gsub("^=", "")
    if value then said = not (value:match("^[0fn]$") or value == "false" or value == "no" or value == "off") end
  end
  return said
end

-- -- surroundings ----------------------------------------------------------------------------------------------

local function library(o, name)
  local path, why = measure.library(o.build, name)
  return path or die(FAILED, "%s", why)
end

local function google_benchmark(folder)
  local path = folder .. "/libtri_bench.so"
  if not linux.exists(path) then
    die(FAILED, "%s is not there, since Google Benchmark was not: apt install libbenchmark-dev g++, and then "
      .. "cmake -S . -B build && cmake --build build", path)
  end
  return benchmark.load(host.root, path)
end

local function sets_of(o)
  local sets, why
  if o.model then sets, why = shapes.of_file(o.model) else sets, why = shapes.named(o.shapes) end
  return sets or die(o.model and BAD_FILE or USAGE, "%s", why)
end

local function usual_threads(cores)
  local list, n = {}, 1
  while n < cores do
    list[#list + 1] = n
    n = 2 * n
  end
  list[#list + 1] = cores
  return list
end

local function ask(b, op)
  local answer, why = measure.ask(b.measure, { op = op }, 120)
  return answer or die(FAILED, "the machine cannot be measured: %s", why)
end

local function start(o)
  local b = { options = o, screen = screen.new(), bench = google_benchmark(o.build), library = library(o, "tri_tune") }
  b.sets = sets_of(o)
  linux.catch_interrupts()
  b.measure = measure.new { root = host.root, library = b.library, threads = 1 }
  local hello = ask(b, "hello")
  b.present, b.cores = hello.isas, hello.cores
  b.threads = o.threads or usual_threads(hello.cores)
  for _, n in ipairs(b.threads) do
    if n > hello.hardware_threads then
      die(USAGE, "--threads: expected up to %d, which this machine has, found %d", hello.hardware_threads, n)
    end
  end
  measure.close(b.measure)
  b.measure.threads = math.max(unpack(b.threads))
  return b
end

-- -- which rows, and what they want ------------------------------------------------------------------------------

local function register(b, rows)
  local nobody = ffi.cast("tri_bench_fn *", nil)
  for _, r in ipairs(rows) do
    b.bench.tri_bench_add(ffi.new("struct tri_bench_row", { r.name, nobody, nil, 0, 0, 0, nil }))
  end
end

-- The rows that Google Benchmark's filter leaves, and its text of their names; exits if an option is wrong.
local function chosen(b, rows, words)
  local quiet, at, out = {}, {}, {}
  for _, word in ipairs(words) do -- each line of the context may be said once only
    if not word:match("^%-%-benchmark_context") then quiet[#quiet + 1] = word end
  end
  register(b, rows)
  local text = b.bench.tri_bench_names(benchmark.words(quiet))
  if text == nil then os.exit(USAGE) end
  text = ffi.string(text)
  b.bench.tri_bench_clear()
  for _, r in ipairs(rows) do at[r.name .. "/manual_time"] = r end
  for line in text:gmatch("[^\n]+") do out[#out + 1] = at[line] end
  return out, text
end

local function kernels_of(rows)
  local list, seen = {}, {}
  for _, r in ipairs(rows) do
    if not seen[r.kernel] then list[#list + 1] = r.kernel end
    seen[r.kernel] = true
  end
  return list
end

local function say(b, ...) screen.line(b.screen, ...) end

-- Compiles what is not linked.
local function compile(b, list)
  local missing = {}
  for _, c in ipairs(list) do if not c.linked then missing[#missing + 1] = c end end
  if #missing == 0 then return end
  local compiler = host.compiler() or
    die(FAILED, "no C compiler: '%s' cannot be run; install one (apt install gcc) or set CC", host.cc())
  build.all(build.new(b.options.build .. "/tune-cache", compiler, b.cores), missing, math.huge, function(done, total)
    screen.status(b.screen, { "kernels", ("compiling %d/%d"):format(done, total) })
  end)
end

-- Why each kernel that must not be timed must not be: { [kernel] = why }; right or not, every kernel is asked once.
local function refused(b, list)
  local why = {}
  for i, c in ipairs(list) do
    if linux.interrupted() then error(measure.interruption, 0) end
    screen.status(b.screen, { "kernels", ("checking %d/%d"):format(i, #list), c.name })
    why[c] = c.failed or measure.verify(b.measure, c)
    if why[c] then say(b, "kernels: %s is refused: %s", c.name, (why[c]:gsub("^[%w_]+__%w+: ", ""))) end
  end
  return why
end

-- The rows whose kernels are right and sum as many columns as the shape has, and whether a kernel was wrong.
local function right(b, rows)
  local kernels, out, wrong = kernels_of(rows), {}, false
  compile(b, kernels)
  local why = refused(b, kernels)
  for _, r in ipairs(rows) do
    wrong = wrong or why[r.kernel] ~= nil
    if not why[r.kernel] and candidates.fits(r.kernel, r.job) then out[#out + 1] = r
    elseif not why[r.kernel] then say(b, "kernels: %s is left out: the kernel sums %d columns at most", r.name,
      r.kernel.kmax)
    end
  end
  return out, wrong
end

-- -- one run -----------------------------------------------------------------------------------------------------

local function context(b, kernels)
  for _, line in ipairs(facts.of(b, ask(b, "linked"), ask(b, "memory"), kernels)) do
    b.bench.tri_bench_context(line[1], line[2])
  end
end

local function timed(b, rows, words)
  local begun, at = {}, 0
  local function watch(row)
    if not row then return screen.close(b.screen) end
    if not begun[row] then begun[row], at = true, at + 1 end
    b.screen.last = 0
    screen.status(b.screen, { "kernels", ("row %d of %d"):format(at, #rows), row.name })
  end
  if not benchmark.run(b.measure, b.bench, rows, words, true, watch) then return USAGE end
  local status = 0
  for _, r in ipairs(rows) do
    if r.failed then
      say(b, "kernels: %s is not reported: %s", r.name, r.failed)
      status = r.failed:match("^crash") and WRONG or math.max(status, FAILED)
    end
  end
  return status
end

local function all_rows(b)
  local o = b.options
  local kernels = o.space and rows_of.generated(b.present, o.space) or rows_of.linked(ask(b, "linked").kernels)
  local rows = rows_of.new(kernels, b.sets, { threads = b.threads, batch = o.batch, active = o.active })
  if #rows > most_rows then
    die(USAGE, "%d rows are more than the %d that Google Benchmark sorts in reasonable time; say more of the names "
      .. "after --space, or fewer shapes or threads", #rows, most_rows)
  end
  return rows
end

-- What the library can say without being asked for anything else.
local function their_help(ours)
  local folder = host.root .. "build"
  for i, word in ipairs(ours) do
    folder = word == "--build" and ours[i + 1] or word:match("^%-%-build=(.*)") or folder
  end
  local path = folder .. "/libtri_bench.so"
  if linux.exists(path) then benchmark.load(host.root, path).tri_bench_help()
  else io.stdout:write("those of any of its programs, --benchmark_filter=REGEX first; here it is not built\n") end
  return 0
end

local function main()
  local o, words, ours = options(arg)
  if not o then return their_help(ours) end
  local b = start(o)
  local rows, text = chosen(b, all_rows(b), words)
  if listing(words) then io.stdout:write(text) return 0 end
  if #rows == 0 then die(USAGE, "no row is chosen; --benchmark_list_tests lists all of them") end
  local wrong
  rows, wrong = right(b, rows_of.ready(rows))
  local status = 0
  if #rows > 0 then
    context(b, kernels_of(rows))
    status = timed(b, rows, words)
  end
  measure.close(b.measure)
  if linux.interrupted() then error(measure.interruption, 0) end
  return wrong and WRONG or status
end

local ok, result = pcall(main)
if not ok and result ~= measure.interruption then die(FAILED, "%s", tostring(result)) end
if not ok then io.stderr:write("kernels: interrupted; rows that were not done are not there\n") end
os.exit(ok and result or INTERRUPTED)
