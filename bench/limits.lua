-- limits: how near the kernels come to what this machine can do, as a table: for decoding the share of the bandwidth
-- of memory, for batches the share of what the multipliers reach in registers, measured in turns with their baselines.
--   luajit bench/limits.lua [--json] [--budget SECONDS] [--build DIR]

local here = arg[0]:match("^(.*/)[^/]*$") or "./"
package.path = here .. "?.lua;" .. here .. "../tune/?.lua;" .. here .. "../gen/?.lua;" .. package.path

local program = require "program"
local FAILED, INTERRUPTED = program.FAILED, program.INTERRUPTED
local this = program.new("bench", "limits")
local die = this.die

local host = require "host"
local linux = require "linux"
local build = require "build"
local emit = require "emit"
local measure = require "measure"
local screen = require "screen"
local ceiling = require "ceiling"
local report = require "report"

local function options()
  local parser = this.parser("Measures how near the kernels come to the limits of this machine.")
  parser:flag("--json", "An array of rows, for programs.")
  parser:option("--budget", "Seconds to spend; each row is measured once, whatever it takes."):default("60")
    :convert(function(text)
      local n = tonumber(text)
      if n and n >= 1 and n <= 86400 then return n end
      return nil, ("--budget: expected seconds from 1 to 86400, found '%s'"):format(text)
    end)
  parser:option("--build", "Build directory."):default(host.root .. "build")
  return parser:parse()
end

-- -- the clock -------------------------------------------------------------------------------------------------

local function ask(b, question, seconds)
  local answer, why = measure.ask(b.measure, question, seconds)
  return answer or die(FAILED, "the machine cannot be measured: %s", why)
end

-- The child with so many threads, and what it reads and computes.
local function open(b, threads)
  measure.close(b.measure)
  b.measure.threads = threads
  b.machine = ask(b, { op = "machine" }, 120)
  b.machine.threads, b.memory = threads, b.machine.memory
  b.machines[#b.machines + 1] = b.machine
end

local function right(b, c)
  if c.failed or not c.so then return false end
  if not c.right then
    c.failed = measure.verify(b.measure, c)
    c.right = not c.failed
    if c.failed then screen.line(b.screen, "limits: %s is left out: %s", c.name, c.failed) end
  end
  return c.right
end

local function prove(b, list, deadline)
  local function building(done, total) b.progress(("compiling %d/%d"):format(done, total)) end
  build.all(b.builder, { list[1] }, math.huge, building)
  build.all(b.builder, list, deadline, building)
  local out = {}
  for i, c in ipairs(list) do
    if linux.interrupted() then error(measure.interruption, 0) end
    b.progress(("checking %d/%d"):format(i, #list))
    if (#out == 0 or c.right or linux.now() < deadline) and right(b, c) then out[#out + 1] = c end
  end
  return out
end

local function peak(b, record, layout)
  local c = build.candidate(record, emit.layout(layout.name))
  build.all(b.builder, { c }, math.huge)
  if c.failed then die(FAILED, "%s: %s", c.name, c.failed) end
  return c
end

-- oneDNN's product of bytes, where its program was built (bench/onednn.c): it runs once for every sample, in turns
-- with ours, on one thread like ours.
local function rival(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  f:close()
  local r = { name = "onednn", kernel = "" }
  function r.time(job, tokens)
    local child = linux.spawn({ "env", "OMP_NUM_THREADS=1", path, tostring(job.m), tostring(tokens), tostring(job.k),
      "0.05" }, true)
    local deadline = linux.now() + 60
    while not child.ended and linux.now() < deadline and not linux.interrupted() do
      linux.wait({ child }, deadline)
    end
    linux.reap(child, not child.ended)
    if linux.interrupted() then error(measure.interruption, 0) end
    local ns, code = child.text:match("^(%d+) (%S+)\n$")
    if not ns then error(path .. ": " .. child.text, 0) end
    r.kernel = code
    return tonumber(ns) / tokens
  end
  return r
end

local function clock(o)
  local library, why = measure.library(o.build, "tri_tune")
  if not library then die(FAILED, "%s", why) end
  local compiler = host.compiler() or
    die(FAILED, "no C compiler: '%s' cannot be run; install one (apt install gcc) or set CC", host.cc())
  linux.catch_interrupts()
  local b = { budget = o.budget, now = linux.now, screen = screen.new(), machines = {} }
  b.measure = measure.new { root = host.root, library = library, threads = 1 }
  local hello = ask(b, { op = "hello" })
  b.present, b.cores = hello.isas, hello.cores
  b.rival = rival(o.build .. "/onednn")
  b.builder = build.new(o.build .. "/tune-cache", compiler, hello.cores)
  function b.open(threads) open(b, threads) end
  function b.read() return ask(b, { op = "read", span = 0 }).gbps end
  function b.prove(list, deadline) return prove(b, list, deadline) end
  function b.peak(record, layout) return peak(b, record, layout) end
  function b.time(c, job, tokens, seconds)
    return measure.time(b.measure, { c }, { m = job.m, k = job.k }, tokens, seconds)
  end
  function b.plan(kernels, costs, job, tokens, seconds)
    return measure.time(b.measure, kernels, { m = job.m, k = job.k }, tokens, seconds, costs)
  end
  function b.progress(text) screen.status(b.screen, { "limits", text }) end
  return b
end

-- -- one run -----------------------------------------------------------------------------------------------------

local function notes(b, t)
  for _, a in ipairs(t.absent) do screen.line(b.screen, "%s is absent: %s", a[1], a[2]) end
  for _, m in ipairs(b.machines) do
    screen.line(b.screen, "the machine: %d thread%s read %.1f GB/s over %.0f MiB, and compute %.2f times what 1 does",
      m.threads, m.threads == 1 and "" or "s", m.read, m.memory / 2 ^ 20, m.registers / m.registers1)
  end
end

local function main()
  local o = options()
  local b, t = clock(o), { rows = {}, absent = {} }
  local ok, why = pcall(ceiling.measure, b, t)
  measure.close(b.measure)
  screen.close(b.screen)
  if not ok and why ~= measure.interruption then die(FAILED, "%s", tostring(why)) end
  io.stdout:write(o.json and report.json(t.rows) or report.text(t.rows))
  notes(b, t)
  if not ok then
    io.stderr:write("limits: interrupted; rows that were not done are not there\n")
    return INTERRUPTED
  end
  return 0
end

os.exit(main())
