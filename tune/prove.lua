-- prove: whether a short search finds what an exhaustive one does. Over the small space (selection.lua), this searches
-- exhaustively, then for --budget seconds with no results and no compiled candidates to begin with; then it times
-- what each chose for decoding, and what runs untuned, cold, in interleaved rounds. Both searches are whole runs of
-- the tuner, for --objective decode, whose progress is shown; what the exhaustive one measured is kept, and taken up
-- the next time.

local build = require "build"
local candidates = require "candidates"
local dispatch = require "dispatch"
local host = require "host"
local linux = require "linux"
local measure = require "measure"
local name = require "name"
local random_of = require "random"
local ratio = require "ratio"
local records = require "records"
local replay = require "replay"
local screen = require "screen"
local search = require "search"
local shapes = require "shapes"
local state = require "state"
local store = require "store"

local prove = { summary = "Compares a short search's choices with an exhaustive search's and with the defaults." }

local usual = { budget = 90, exhaustive = 1800, rounds = 31, shapes = "2b4t" }
local wanted, aim = 0.95, 0.98 -- of exhaustive over choice, the lower bound
local sample_seconds = 0.02

local function count(text)
  local n = tonumber(text)
  if n and n >= 1 and n % 1 == 0 then return n end
  return nil, ("expected a whole number from 1, found '%s'"):format(text)
end

function prove.options(parser)
  parser:option("--rounds", ("Interleaved rounds of the comparison (default: %d)."):format(usual.rounds)):convert(count)
  parser:option("--exhaustive-budget", ("Seconds for the exhaustive search at most (default: %d)."):format(
    usual.exhaustive)):convert(count)
  parser:option("--folder", "Folder of the proof's own results (default: prove in the build directory).")
  parser:flag("--json", "As JSON.")
end

-- -- the two searches ----------------------------------------------------------------------------------------

-- Runs the tuner on the small space to its end; nil and why, if it failed. A Ctrl-C here is one there.
local function tuned(o, folder, extra)
  local words = { "luajit", host.root .. "tune/tune.lua", "--space", "small", "--shapes", o.shapes, "--build", o.build,
    "--objective", "decode", "--results", folder, "--cache", folder .. "/objects" }
  for _, option in ipairs { "threads", "isa", "family" } do
    if o[option] then
      words[#words + 1], words[#words + 2] = "--" .. option, tostring(o[option])
    end
  end
  if o.quiet then words[#words + 1] = "--quiet" end
  for _, word in ipairs(extra) do words[#words + 1] = word end
  local child = linux.spawn(words)
  while not child.ended do
    linux.wait({ child }, linux.now() + 1)
    if linux.interrupted() then linux.interrupt(child) end
  end
  local _, status = linux.reap(child)
  if linux.interrupted() then error(measure.interruption, 0) end
  if status ~= 0 then return nil, ("a search failed with status %d (see above)"):format(status) end
  return replay.file(("%s/%s/measurements.jsonl"):format(folder, host.slug(host.cpu())))
end

-- How far a search came: candidates timed, and left for lack of time, over these jobs.
local function extent(t, jobs)
  local sum, is = { timed = 0, left = 0 }, {}
  for _, job in ipairs(jobs) do is[dispatch.key(job)] = true end
  for _, job in ipairs(t.jobs) do
    if is[dispatch.key(job)] then sum.timed, sum.left = sum.timed + job.tried, sum.left + job.left end
  end
  return sum
end

-- -- the comparison ------------------------------------------------------------------------------------------

local sides = { "exhaustive", "choice", "default" }

-- The points a table decodes with, by job.
local function decoding(t)
  local points = {}
  for _, job in ipairs(t.jobs) do points[dispatch.key(job)] = name.parse(job.kernels[1].name) end
  return points
end

-- One row for each job that both tables have: { job, exhaustive, choice, default } (candidates).
function prove.rows(pool, jobs, exhaustive, choice)
  local rows, one, other = {}, decoding(exhaustive), decoding(choice)
  for _, job in ipairs(jobs) do
    local key = dispatch.key(job)
    if one[key] and other[key] then
      rows[#rows + 1] = { job = job, exhaustive = candidates.of(pool, one[key]),
        choice = candidates.of(pool, other[key]), default = candidates.default(pool)[1] }
    end
  end
  return rows
end

-- What is timed in a round: each kernel of each job once, in an order of its own.
local function turns_of(rows, random)
  local turns = {}
  for _, row in ipairs(rows) do
    local has = {}
    for _, side in ipairs(sides) do
      local c = row[side]
      if not has[c] then
        has[c] = true
        table.insert(turns, random(#turns + 1), { row = row, candidate = c })
      end
    end
  end
  return turns
end

-- Times all rows in interleaved rounds: the sums over jobs by side and round, and ns by row, side and round. sample(c,
-- job): nanoseconds, or nil and why it failed; progress(round). Sides with the same kernel share its time.
function prove.time(rows, rounds, sample, progress)
  local random, sums, ns = random_of(7), {}, {}
  for _, side in ipairs(sides) do sums[side] = {} end
  for i in ipairs(rows) do ns[i] = { exhaustive = {}, choice = {}, default = {} } end
  for round = 1, rounds do
    local took = {}
    for _, turn in ipairs(turns_of(rows, random)) do
      local time, why = sample(turn.candidate, turn.row.job)
      if not time then return nil, turn.candidate.name .. ": " .. why end
      took[turn.row] = took[turn.row] or {}
      took[turn.row][turn.candidate] = time
    end
    for _, side in ipairs(sides) do
      local sum = 0
      for i, row in ipairs(rows) do
        ns[i][side][round] = took[row][row[side]]
        sum = sum + ns[i][side][round]
      end
      sums[side][round] = sum
    end
    if progress then progress(round) end
  end
  return sums, ns
end

-- What the rounds say: ratios with their bounds, and whether the two targets are met.
function prove.verdict(rows, sums, ns)
  local v = { rounds = #sums.choice, over_choice = ratio(sums.exhaustive, sums.choice),
    over_default = ratio(sums.exhaustive, sums.default), gain = ratio(sums.default, sums.choice), jobs = {},
    wanted = wanted, aim = aim }
  for i, row in ipairs(rows) do
    v.jobs[i] = { role = row.job.role, m = row.job.m, k = row.job.k, exhaustive = row.exhaustive.name,
      choice = row.choice.name, default = row.default.name, over_choice = ratio(ns[i].exhaustive, ns[i].choice),
      gain = ratio(ns[i].default, ns[i].choice) }
  end
  v.finds_it = v.over_choice.low >= wanted
  v.never_below_default = v.over_choice.ratio >= v.over_default.low
  return v
end

-- -- text ----------------------------------------------------------------------------------------------------

local function bounds(r) return ("%.3f (95%% bounds %.3f to %.3f)"):format(r.ratio, r.low, r.high) end

-- width: columns.
function prove.text(v, width)
  local out = {}
  local function line(head, format, ...) out[#out + 1] = screen.wrapped(head, format:format(...), width) .. "\n" end
  for _, job in ipairs(v.jobs) do
    line("", "%s %dx%d", job.role, job.m, job.k)
    line("  exhaustive  ", "%s", job.exhaustive)
    line("  choice      ", "%s", job.choice == job.exhaustive and "the same" or
      ("%s, exhaustive/choice %s"):format(job.choice, bounds(job.over_choice)))
    line("  default     ", "%s", job.default == job.choice and "the same as the choice" or
      ("%s, default/choice %s"):format(job.default, bounds(job.gain)))
  end
  for _, side in ipairs { "exhaustive", "choice" } do
    local s = v.searched[side]
    line("", "%s: %d timings of candidates on jobs, %d left for lack of time", side, s.timed, s.left)
  end
  line("", "sums of cold times over %d jobs, %d interleaved rounds, medians:", #v.jobs, v.rounds)
  line("  exhaustive/choice   ", "%s: %s", bounds(v.over_choice), v.finds_it and
    ("the lower bound reaches %.2f"):format(v.over_choice.low >= aim and aim or wanted) or
    ("the lower bound is below %.2f"):format(wanted))
  line("  exhaustive/default  ", "%s: the choice is %s the default's lower bound", bounds(v.over_default),
    v.never_below_default and "not below" or "BELOW")
  line("  default/choice      ", "%s", bounds(v.gain))
  line("  the machine         ", "%s", state.explained(v.machine))
  return table.concat(out)
end

-- -- the command ---------------------------------------------------------------------------------------------

-- The child that times, and the candidates it can.
local function timing(o, folder)
  local m = measure.new { root = host.root, library = o.build .. "/libtri_tune.so", threads = o.threads or 1 }
  local hello, why = measure.ask(m, { op = "hello" })
  if not hello then return nil, why end
  if not o.threads then
    measure.close(m)
    m.threads = hello.cores
  end
  local kept
  kept, why = store.open(folder .. "/timing")
  if not kept then return nil, why end
  local compiler = host.compiler()
  return candidates.new { present = hello.isas, measure = m, store = kept, compiler = compiler,
    builder = build.new(folder .. "/timing/objects", compiler, hello.cores) }
end

local function flat(sets)
  local jobs = {}
  for _, set in ipairs(sets) do for _, job in ipairs(set) do jobs[#jobs + 1] = job end end
  return jobs
end

-- Builds and proves what is to be timed: the first failure, or nil.
local function failure(pool, rows)
  for _, row in ipairs(rows) do
    for _, side in ipairs(sides) do
      local c = row[side]
      candidates.ready(pool, { c }, math.huge, 1)
      if not c.right or not c.so then return c.name .. ": " .. tostring(c.failed) end
    end
  end
end

local function compare(o, folder, jobs, exhaustive, choice)
  local pool, why = timing(o, folder)
  if not pool then return nil, why end
  local rows = prove.rows(pool, jobs, exhaustive, choice)
  if #rows == 0 then return nil, "the searches have no job in common; give them more time" end
  why = failure(pool, rows)
  if why then return nil, why end
  local memory
  local watch = state.watch { threads = pool.measure.threads, ask = function()
    local seen = measure.ask(pool.measure, { op = "machine" }, 120)
    memory = seen and seen.memory or memory
    return seen
  end }
  state.look(watch, true)
  local shown = screen.new(o.quiet)
  local sums, ns = prove.time(rows, o.rounds or usual.rounds, function(c, job)
    return measure.time(pool.measure, { c }, search.timed({ machine = { memory = memory } }, job), 1, sample_seconds)
  end, function(round)
    state.look(watch)
    screen.status(shown, { ("comparing: round %d/%d"):format(round, o.rounds or usual.rounds) })
  end)
  screen.close(shown)
  measure.close(pool.measure)
  if not sums then return nil, ns end
  local v = prove.verdict(rows, sums, ns)
  v.machine = watch.worst
  return v
end

function prove.run(o)
  local folder = o.folder or o.build .. "/prove"
  o.shapes = o.shapes or usual.shapes
  local sets, why = shapes.named(o.shapes)
  if not sets then return nil, "--shapes: " .. why end
  linux.catch_interrupts()
  local exhaustive, choice, v
  exhaustive, why = tuned(o, folder .. "/exhaustive", { "--exhaustive", "--budget",
    tostring(o.exhaustive_budget or usual.exhaustive) })
  if not exhaustive then return nil, why end
  choice, why = tuned(o, ("%s/short-%s-%d"):format(folder, linux.stamp():gsub("[^%dT]", ""), linux.pid()),
    { "--budget", tostring(o.budget or usual.budget) })
  if not choice then return nil, why end
  local jobs = flat(sets)
  v, why = compare(o, folder, jobs, exhaustive, choice)
  if not v then return nil, why end
  v.budget = o.budget or usual.budget
  v.searched = { exhaustive = extent(exhaustive, jobs), choice = extent(choice, jobs) }
  return o.json and records.line(v) .. "\n" or prove.text(v, screen.width(1))
end

return prove
