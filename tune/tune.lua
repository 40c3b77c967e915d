-- tune: finds the kernels that are fastest on this very machine and writes its dispatch table.
--   luajit tune/tune.lua [--budget SECONDS] [--shapes 2b4t,tiny | --model FILE] [--help for all]
--   luajit tune/tune.lua explain | export | import | merge | diff: what was measured (tune/NAME.lua)
--   luajit tune/tune.lua prove: whether a short search finds what an exhaustive one does
--   luajit tune/tune.lua defaults: what a CPU that nobody tuned should run, from all that was measured

local here = arg[0]:match("^(.*/)[^/]*$") or "./"
package.path = here .. "?.lua;" .. here .. "../gen/?.lua;" .. package.path

local program = require "program"
local die = program.new("tune", "tune").die

local argparse = require "argparse"
local host = require "host"
local linux = require "linux"
local shapes = require "shapes"
local space = require "space"
local untuned = require "untuned"
local build = require "build"
local measure = require "measure"
local benchmark = require "benchmark"
local candidates = require "candidates"
local search = require "search"
local store = require "store"
local dispatch = require "dispatch"
local screen = require "screen"
local replay = require "replay"
local trial = require "trial"
local machine_of = require "machine"
local state = require "state"

local commands = { explain = require "explain", export = require "export", import = require "import",
  merge = require "merge", diff = require "diff", prove = require "prove", defaults = require "defaults" }

local usual_shapes = "2b4t,tiny"
local usual_budget = 75    -- seconds
local enough_to_judge = 10 -- timings

local FAILED, USAGE, INTERRUPTED = program.FAILED, program.USAGE, program.INTERRUPTED
local BAD_FILE = 3

-- -- options -----------------------------------------------------------------------------------------------

local function count(most)
  return function(text)
    local n = tonumber(text)
    if n and n >= 1 and n <= most and n % 1 == 0 then return n end
    return nil, ("expected a whole number from 1 to %d, found '%s'"):format(most, text)
  end
end

local function group_of(text)
  for _, group in ipairs(untuned.groups()) do
    if group > 0 and text == tostring(group) then return group end
  end
  return nil, ("expected 32, 64, 128 or 256, found '%s'"):format(text)
end

local function options()
  local parser = argparse("tune.lua", "Finds the fastest kernels for this machine.")
  parser:option("--budget", "Seconds to spend, all told (default: 75; with --exhaustive, what it takes).")
    :convert(count(1000000))
  parser:flag("--exhaustive", "Build, prove and race every candidate on every job.")
  parser:option("--space", "small: at most 300 candidates, the same every time (tune/selection.lua).")
    :choices({ "full", "small" }):default("full")
  parser:option("--shapes", ("Models to tune for, with commas: %s; or ROWSxCOLUMNS (default: %s)."):format(
    shapes.known(), usual_shapes))
  parser:option("--group", "Columns that share a scale: 32, 64, 128 or 256 (default: whole rows do)."):convert(group_of)
  parser:option("--model", "A GGUF file to tune for, instead of --shapes.")
  parser:option("--threads", "Threads (default: all cores)."):convert(count(512))
  parser:option("--isa", "Only these instruction sets, with commas.")
  parser:option("--family", "Only these kernel families, with commas.")
  parser:option("--objective", "What the choice of layout serves; balanced weighs decoding twice.")
    :choices({ "decode", "prompt", "balanced" }):default("balanced")
  parser:option("--results", "Folder of measurements and tables."):default(host.root .. "results")
  parser:option("--build", "Build directory."):default(host.root .. "build")
  parser:option("--cache", "Folder of compiled candidates (default: tune-cache in the build directory).")
  parser:option("--hints", "A dispatch table, of any machine, whose kernels are tried first.")
  parser:flag("--confirm", "Time winners and runners-up with Google Benchmark, too (beyond the budget).")
  parser:flag("--unless-tuned", "Do nothing if this machine's table has all these jobs.")
  parser:option("--replay", "Only print the table that these recorded measurements lead to."):argname("FILE")
  parser:flag("--list", "Only list the candidates.")
  parser:flag("--quiet", "No progress.")
  parser:require_command(false):command_target("command")
  local all = { parser }
  for _, word in ipairs { "explain", "export", "import", "merge", "diff", "defaults", "prove" } do
    all[#all + 1] = parser:command(word, commands[word].summary)
    commands[word].options(all[#all])
  end
  for _, one in ipairs(all) do
    function one:error(message) -- luacheck: ignore
      die(USAGE, "%s\n%s", message, self:get_usage())
    end
  end
  return parser:parse()
end

local function words(text)
  if not text then return nil end
  local list = {}
  for word in text:gmatch("[^,]+") do list[#list + 1] = word end
  return list
end

-- The words of an option, each one of `known`; nil if it was not given.
local function chosen(option, text, known, what)
  local list, is_known = words(text), {}
  for _, word in ipairs(known) do is_known[word] = true end
  for _, word in ipairs(list or {}) do
    if not is_known[word] then
      die(USAGE, "%s: no %s '%s' here; there are %s", option, what, word, table.concat(known, ", "))
    end
  end
  return list
end

local function sets_of(o)
  local sets, why
  if o.model then
    sets, why = shapes.of_file(o.model)
    if not sets then die(BAD_FILE, why) end
  else
    sets, why = shapes.named(o.shapes)
    if not sets then die(USAGE, "--shapes: " .. why) end
  end
  for _, set in ipairs(sets) do
    for _, job in ipairs(set) do job.group = o.group end
  end
  return sets
end

-- -- what is there -------------------------------------------------------------------------------------------

local function library(o, name)
  local path, why = measure.library(o.build, name)
  return path or die(FAILED, "%s", why)
end

-- A table that all of this run's jobs are in, as they would be measured now.
local function tuned_already(run)
  local t = dispatch.read(run.path)
  if not t or t.cpu ~= run.cpu or t.compiler ~= run.compiler then return false end
  if run.options.threads and t.threads ~= run.options.threads then return false end
  local has = {}
  for _, job in ipairs(t.jobs) do has[dispatch.key(job)] = dispatch.current(job) end
  for _, set in ipairs(run.sets) do
    for _, job in ipairs(set) do if not has[dispatch.key(job)] then return false end end
  end
  return true
end

-- The table there is, if it is this machine's; else it is put aside, with a sentence.
local function earlier_table(path, cpu, notice)
  local t, why = dispatch.read(path)
  if t and t.cpu ~= cpu then why = ("%s: made for %s, but this is %s"):format(path, t.cpu, cpu) end
  if not why then return t end
  linux.rename(path, path .. ".old")
  notice("%s; it is now %s.old, and tuning begins anew", why, path)
  return nil
end

-- -- one run -----------------------------------------------------------------------------------------------

-- Kernels to try first: those of the tables given, as far as this CPU has their ISAs.
local function hints_of(pool, present, tables)
  local one, many, has = {}, {}, {}
  for _, isa in ipairs(present) do has[isa] = true end
  for _, t in ipairs(tables) do
    for _, point in ipairs(dispatch.points(t)) do
      if has[point.isa] then
        local c = candidates.of(pool, point)
        local fits = c.group == pool.group and candidates.allowed(pool, c)
        if fits then table.insert(c.tokens == 1 and one or many, c) end
      end
    end
  end
  return function(_, batches) return batches and many or one end
end

-- What this run is to do, for whoever decides again by its measurements.
local function run_record(run, list)
  local jobs, usual = {}, {}
  for i, item in ipairs(list) do jobs[i] = item.job end
  for i, c in ipairs(candidates.default(run.pool)) do usual[i] = c.name end
  return { kind = "run", id = ("%s %d"):format(linux.stamp(), linux.pid()), cpu = run.cpu, arch = run.arch,
    compiler = run.compiler, threads = run.threads, objective = run.objective, memory = run.machine.memory,
    present = run.pool.present, isas = run.pool.isas, group = run.options.group, untuned = usual, jobs = jobs }
end

local function write_machine(run)
  local facts = run.facts
  facts.cpu, facts.arch, facts.compiler, facts.threads = run.cpu, run.arch, run.compiler, run.threads
  facts.read = { [1] = run.machine.read1, [run.threads] = run.machine.read }
  local ok, why = linux.replace(run.folder .. "/machine.txt", machine_of.text(facts))
  if not ok then die(FAILED, "the machine's description cannot be written: %s", why) end
end

-- Asks the child what the machine can do, again and again, and keeps the answers with the samples.
local function watch(run)
  local why
  run.watch = state.watch { threads = run.threads, best = store.best(run.store, run.threads),
    ask = function()
      local seen
      seen, why = measure.ask(run.measure, { op = "machine" }, 120)
      run.after = seen or run.after
      return seen
    end,
    keep = function(seen, text)
      local record = { kind = "machine", compiler = run.compiler, threads = run.threads, state = text }
      for key, value in pairs(seen) do record[key] = value end
      store.add(run.store, record)
    end }
  state.look(run.watch, true)
  return run.after or die(FAILED, "the machine cannot be measured: %s", why)
end

-- How fast reading alone is over what a job rotates through: the best of all times it was measured, which is
-- at the first question and, with `again`, once more.
local function read_of(run)
  local function known(span) return store.reading(run.store, run.record, span) end
  local function keep(span, gbps)
    store.add(run.store, { kind = "read", run = run.record.id, span = span, gbps = gbps })
  end
  keep(0, run.machine.read)
  return function(job, layout, again)
    local span = measure.span(job, layout)
    if linux.interrupted() then return known(span) or known(0) end
    if again or not known(span) then
      local answer = measure.ask(run.measure, { op = "read", span = span })
      if answer then keep(span, answer.gbps) end
    end
    return known(span) or known(0)
  end
end

local function status(run, at)
  local job, parts = at.job, {}
  parts[1] = ("%d/%d %s"):format(run.at, run.total, dispatch.key(job))
  parts[2] = ("%s %d/%d"):format(at.what, at.done, at.total)
  parts[3] = run.deadline < math.huge and ("%d s left"):format(math.max(0, run.deadline - linux.now()))
    or ("%d s so far"):format(linux.now() - run.begin)
  if at.gbps then
    parts[4] = ("best %.1f GB/s (%.0f%%)"):format(at.gbps, 100 * at.share)
    if at.default_ns then parts[5] = ("%.2fx of default"):format(at.default_ns / at.ns) end
  end
  screen.status(run.screen, parts)
end

local function flat(sets)
  local list = {}
  for _, set in ipairs(sets) do
    for i, job in ipairs(set) do list[#list + 1] = { job = job, set = set, weight = i == 1 and 4 or 1 } end
  end
  return list
end

local function announce(run, job, choice, before)
  if before and before.kernels[1].name == choice.kernels[1].name then return end
  screen.line(run.screen, "%-28s %s  %.1f GB/s%s", ("%s %s"):format(job.model, dispatch.key(job)),
    choice.kernels[1].name, choice.kernels[1].gbps, choice.gain and ("  %.2fx of default"):format(choice.gain) or "")
end

-- All jobs, each with its part of the time that is left; run.choices: what was said of them; false if Ctrl-C came.
local function all_jobs(run, list)
  local weight = 0
  for _, item in ipairs(list) do weight = weight + item.weight end
  for i, item in ipairs(list) do
    run.at, run.total = i, #list
    local job, now = item.job, linux.now()
    local ok, choice = pcall(search.job, run.search, job, item.set,
      now + math.max(0, run.deadline - now) * item.weight / weight)
    weight = weight - item.weight
    if not ok then
      if choice ~= measure.interruption then error(choice, 0) end
      return false
    end
    if choice then
      announce(run, job, choice, run.choices[i])
      run.choices[i] = choice
    end
  end
  return true
end

local function count_of(set)
  local n = 0
  for _ in pairs(set) do n = n + 1 end
  return n
end

local function touched(run, list)
  local n = 0
  for _, item in ipairs(list) do n = n + search.touched(run.search, item.job) end
  return n
end

local looks, seconds_between = 5, 2

-- Whether the machine is clean, or becomes so before long.
local function is_clean(run)
  for i = 1, looks do
    if not state.look(run.watch, true) then return true end
    if i < looks then linux.wait({}, linux.now() + seconds_between) end
    if linux.interrupted() or linux.now() > run.deadline then return false end
  end
  return false
end

-- Whether another pass could find more: there are candidates left, or samples of a bad state to take anew.
local function worthwhile(run, list, fresh)
  if run.deadline - linux.now() < math.max(2, 0.1 * (run.options.budget or 0)) then return false end
  if count_of(run.search.untried) > 0 and run.search.fresh ~= fresh then return true end
  return touched(run, list) > 0 and is_clean(run)
end

-- Passes over all jobs until nothing is untried and nothing was touched by a bad state of the machine, or time is up:
-- each takes up the last one's samples. Returns the choices by all that is stored, and whether Ctrl-C came.
local function passes(run, list)
  run.choices = {}
  local whole
  repeat
    local fresh = run.search.fresh
    search.again(run.search, run.sets)
    whole = all_jobs(run, list)
  until not whole or not worthwhile(run, list, fresh)
  return replay.choices(run.search, run.store, run.record), not whole
end

-- -- end to end --------------------------------------------------------------------------------------------------

-- Seconds of the budget that belong to the trial.
local function reserved(budget) return math.min(15, 0.15 * budget) end

-- The first model whose shape is known.
local function tried_model(run)
  for _, set in ipairs(run.sets) do if set.model then return set end end
end

local function forget(run) measure.ask(run.measure, { op = "forget" }) end

-- What trial.measure asks for of this run.
local function trial_of(run, set, contestants)
  local part = trial.part(set.model, set[1].weights, math.max(64, math.min(128, run.machine.cache / 2 ^ 20)) * 2 ^ 20)
  local settings = trial.settings(run.cores, run.hardware_threads, run.options.threads)
  local most, seconds = 1, reserved(run.options.budget) / (32 * trial.least)
  for _, s in ipairs(settings) do most = math.max(most, s.threads) end
  local function make(label, plans, huge)
    local said = {}
    for role, plan in pairs(plans) do
      local kernels, costs = {}, {}
      for i, k in ipairs(plan.kernels) do kernels[i], costs[#costs + 1] = k.candidate, k.call_ns end
      candidates.ready(run.pool, kernels, math.huge, #kernels)
      said[role] = { kernels = kernels, costs = #costs == #kernels and costs or nil } -- of some only: of none
    end
    return measure.trial(run.measure, label, said, { model = part, prompt = trial.prompt_tokens, threads = most,
      huge = huge })
  end
  local function sample(label, phase, setting)
    local answer, why = measure.ask(run.measure, { op = "run", name = label, phase = phase, threads = setting.threads,
      pinned = setting.pinned, seconds = seconds })
    if not answer then return nil, why end
    screen.status(run.screen, { ("%s on %d of %d layers of %s"):format(phase, part.layers, set.model.layers, set.name),
      ("%.1f tokens/s"):format(1e9 / answer.ns) })
    return answer.ns, answer.bits
  end
  return { contestants = contestants, run = run.record, store = run.store, model = part, of = set.model.layers,
    name = set.name, settings = settings, build = make, sample = sample, now = linux.now, deadline = run.ends,
    alone = math.abs(run.machine.registers / run.machine.registers1 / run.threads - 1) < 0.1 }
end

-- The best tables and the settings against each other on the forward pass, unless that is stored: the choices by
-- what came out, and what the trial said; these choices and nil if there was none.
local function try(run, results)
  local function skip(...) screen.line(run.screen, "not confirmed end to end: " .. ...) end
  local known = select(2, replay.choices(run.search, run.store, run.record))
  if known then return results, known end
  if run.options.group then return results, skip "the forward pass knows no scales of groups" end
  local set = tried_model(run)
  if not set then return results, skip "these shapes are no whole model" end
  local contestants = trial.contestants(results, run.record.jobs, set.name)
  if not contestants then return results, skip "not all jobs of a model are decided; give it more time (--budget)" end
  local ok, done, why = pcall(trial.measure, trial_of(run, set, contestants))
  if not ok then error(done, 0) end
  forget(run)
  if not done then return results, skip(why .. "; the budget may be too short, or memory") end
  return replay.choices(run.search, run.store, run.record)
end

local function setting_text(ended)
  local function team(t)
    return ("%d thread%s%s"):format(t.threads, t.threads > 1 and "s" or "", t.pinned and ", pinned" or "")
  end
  return ("decoding with %s, prompts with %s, %s pages"):format(team(ended.decode), team(ended.prompt),
    ended.huge and "huge" or "small")
end

local function tell(run, ended)
  local c = ended.confirmed
  local function say(...) screen.line(run.screen, ...) end
  local function rival(name, text)
    if c[name .. "_ratio"] then say("  %s: %.2f and %.1f tokens/s, %.3f times the time", text, c[name .. "_decode"],
      c[name .. "_prompt"], c[name .. "_ratio"]) end
  end
  for _, text in ipairs(ended.refused) do screen.notice(run.screen, "%s", text) end
  say("end to end, %d of %d layers of %s and as much of its vocabulary, %d rounds in turns: decodes %.2f tokens/s, "
    .. "takes prompts at %.1f", c.layers, c.of, c.shape, c.rounds, c.decode, c.prompt)
  rival("runner_up", "the next best table")
  rival("default", "untuned")
  say(ended.decode and "it runs best " .. setting_text(ended) or "threads, pinning and pages stay simple: there was no "
    .. "time to try others, or others had the cores")
end

-- -- confirmation ----------------------------------------------------------------------------------------------

local bench_options = { "--benchmark_min_time=0.05", "--benchmark_repetitions=5",
  "--benchmark_enable_random_interleaving=true" }

-- Winners and runners-up once more, with Google Benchmark's statistics.
local function confirm(run, results)
  local rows = {}
  for _, job in ipairs(results) do
    local k, timed = job.kernels[1], search.timed(run.search, job)
    for _, c in ipairs { k.candidate, k.runner } do
      candidates.ready(run.pool, { c }, math.huge, 1)
      rows[#rows + 1] = { name = dispatch.key(job) .. " " .. c.name, kernels = { c }, tokens = 1, job = timed,
        span = measure.span(timed, c.layout) }
    end
  end
  screen.line(run.screen, "confirming %d kernels with Google Benchmark", #rows)
  local ns = benchmark.run(run.measure, benchmark.load(host.root, run.libbench), rows, bench_options)
    or die(FAILED, "Google Benchmark refuses its options")
  if linux.interrupted() then error(measure.interruption, 0) end
  for _, r in ipairs(rows) do
    if r.failed then die(FAILED, "Google Benchmark: %s: %s", r.name, r.failed) end
  end
  for _, job in ipairs(results) do
    local k = job.kernels[1]
    local second = k.runner and ns[dispatch.key(job) .. " " .. k.runner.name]
    k.bench_ns = ns[dispatch.key(job) .. " " .. k.name]
    local off = math.abs(k.bench_ns / k.ns - 1)
    if second then off = math.max(off, math.abs(second / (k.ns * (1 + k.margin)) - 1)) end
    k.unconfirmed = off > 0.05 or nil
  end
end

-- -- the end ---------------------------------------------------------------------------------------------------

-- This run's choices, and those of the earlier table that it did not touch and that still hold.
local function merged(run, results, earlier, ended)
  local jobs, has = {}, {}
  for i, job in ipairs(results) do jobs[i], has[dispatch.key(job)] = job, true end
  local same = earlier and earlier.cpu == run.cpu and earlier.compiler == run.compiler
    and earlier.threads == run.threads
  for _, job in ipairs(same and earlier.jobs or {}) do
    if type(job) == "table" and not has[dispatch.key(job)] and dispatch.current(job) then jobs[#jobs + 1] = job end
  end
  return replay.table(run.store, run.record, jobs, ended)
end

-- Under the lock of the measurements: what another tuner has written meanwhile is taken up, not lost.
local function write_table(run, results, ended)
  local ok, why = linux.locked(run.store.fd, function()
    return dispatch.write(run.path, merged(run, results, (dispatch.read(run.path)), ended))
  end)
  if not ok then die(FAILED, "the table cannot be written: %s; the measurements are safe", why) end
end

local function failures(run)
  local list = {}
  for _, c in pairs(run.pool.known) do if c.failed then list[#list + 1] = c.name .. ": " .. c.failed end end
  table.sort(list)
  for _, text in ipairs(list) do screen.notice(run.screen, "failed: %s", text) end
end

-- What a reader needs to judge the figures, and what to do with them.
local function jobs_by_key(list)
  local jobs = {}
  for _, item in ipairs(list) do jobs[dispatch.key(item.job)] = item.job end
  return jobs
end

-- How well the cost model foretold what was raced: the middle of its jobs' rank correlations, and of how many.
local function foretold(run, list)
  local found, n = {}, 0
  for _, item in ipairs(list) do
    local alike, raced = search.agreement(run.search, item.job)
    if alike and raced >= enough_to_judge then found[#found + 1], n = alike, n + raced end
  end
  table.sort(found)
  return found[math.ceil(#found / 2)], n
end

-- What the machine was like, and what of it touched the choices.
local function report_machine(run, results)
  local function say(...) screen.line(run.screen, ...) end
  local machine, marked = run.machine, 0
  for _, job in ipairs(results) do marked = marked + (state.bad(job.state) and 1 or 0) end
  say("reading alone: %.1f GB/s with 1 thread, %.1f with %d, over %.0f MiB; at the end %.1f", machine.read1,
    store.reading(run.store, run.record, 0), run.threads, machine.memory / 2 ^ 20, run.after.read)
  say("the machine at the end: %s; %d threads compute %.2f times what 1 does; the reference kernel's median was at "
    .. "most %.0f%% above its best", run.watch.text or "clean", run.threads, run.after.registers / run.after.registers1,
    100 * (run.search.drift - 1))
  if run.watch.worst then say("meanwhile: %s", state.explained(run.watch.worst)) end
  if marked > 0 then
    say("* measured in a bad state: %d of %d; run again when the machine is quiet", marked, #results)
  end
end

local function report(run, results, list, interrupted)
  local function say(...) screen.line(run.screen, ...) end
  local total, untried = count_of(jobs_by_key(list)), count_of(run.search.untried)
  failures(run)
  if #results > 0 then screen.table(results) end
  report_machine(run, results)
  local alike, raced = foretold(run, list)
  if alike then say("the cost model foretold the order of %d timings with a rank correlation of %.2f", raced, alike) end
  if run.search.fresh == 0 and not interrupted then say("nothing to do: all of this was measured before") end
  if untried > 0 then say("%d candidates were left untried for lack of time; run again to go on", untried) end
  if #results < total then say("%d of %d jobs done; the others keep their kernels", #results, total) end
  if #results > 0 then say("%s is written; to link it: cmake -S . -B build && cmake --build build", run.path) end
end

local function list_candidates(pool, exhaustive)
  local of = exhaustive and candidates.all or candidates.tiles
  for _, batches in ipairs { false, true } do
    for _, c in ipairs(of(pool, batches)) do io.write(c.name, "\n") end
  end
  return 0
end

-- Options, compiler, libraries: what can be wrong before anything is touched.
local function set_up(o)
  local run = { options = o, screen = screen.new(o.quiet), objective = o.objective, cpu = host.cpu() }
  run.sets = sets_of(o)
  run.compiler = host.compiler() or
    die(FAILED, "no C compiler: '%s' cannot be run; install one (apt install gcc) or set CC", host.cc())
  run.families = chosen("--family", o.family, space.families(), "family")
  run.folder = o.results .. "/" .. host.slug(run.cpu)
  run.path = run.folder .. "/dispatch.lua"
  return run
end

-- The child, which knows the instruction sets of this CPU, and what is made with it.
local function start(run)
  local o = run.options
  run.library, run.libbench = library(o, "tri_tune"), o.confirm and library(o, "tri_bench")
  linux.catch_interrupts()
  run.measure = measure.new { root = host.root, library = run.library, threads = o.threads or 1 }
  local hello, why = measure.ask(run.measure, { op = "hello" })
  if not hello then die(FAILED, "%s cannot be used: %s", run.library, why) end
  run.arch, run.threads = hello.arch, o.threads or hello.cores
  run.cores, run.hardware_threads = hello.cores, hello.hardware_threads
  if run.measure.threads ~= run.threads then measure.close(run.measure) end
  run.measure.threads = run.threads
  run.store, why = store.open(run.folder)
  if not run.store then die(FAILED, "results cannot be written: %s; choose another folder with --results", why) end
  if why > 0 then screen.notice(run.screen, "%s: %d lines make no sense and do not count", run.store.path, why) end
  run.pool = candidates.new { present = hello.isas, isas = chosen("--isa", o.isa, hello.isas, "instruction set"),
    group = o.group, families = run.families, measure = run.measure, store = run.store, compiler = run.compiler,
    small = o.space == "small", builder = build.new(o.cache or o.build .. "/tune-cache", run.compiler, hello.cores) }
end

local function hint_table(path)
  if not path then return nil end
  local t, why = dispatch.read(path)
  return t or die(BAD_FILE, "--hints: %s", why or path .. ": no such file")
end

local function tune(run, hint)
  local earlier = earlier_table(run.path, run.cpu, function(...) screen.notice(run.screen, ...) end)
  run.machine, run.facts = watch(run), machine_of.facts()
  run.machine.ghz = run.facts.mhz and run.facts.mhz / 1000
  local list = flat(run.sets)
  run.record = run_record(run, list)
  store.add(run.store, run.record)
  run.machine.read_of = read_of(run)
  write_machine(run)
  run.search = search.new { pool = run.pool, measure = run.measure, store = run.store, compiler = run.compiler,
    threads = run.threads, objective = run.objective, machine = run.machine, exhaustive = run.options.exhaustive,
    look = function() return state.look(run.watch) end,
    hinted = hints_of(run.pool, run.pool.present, { hint or earlier, hint and earlier }),
    progress = function(at) status(run, at) end }
  local results, interrupted = passes(run, list)
  local ended
  if not interrupted and #results > 0 then results, ended = try(run, results) end
  if run.libbench and not interrupted and #results > 0 then confirm(run, results) end
  if #results > 0 then write_table(run, results, ended) end
  if not interrupted then state.look(run.watch, true) end
  measure.close(run.measure)
  report(run, results, list, interrupted)
  if ended then tell(run, ended) end
  return interrupted and INTERRUPTED or 0
end

-- A command's text on stdout, or why there is none.
local function say(text, why)
  if not text then die(BAD_FILE, "%s", why) end
  io.stdout:write(text)
  return 0
end

local function main()
  local begin, o = linux.now(), options()
  if o.command then return say(commands[o.command].run(o)) end
  o.shapes = o.shapes or usual_shapes
  if not o.exhaustive then o.budget = o.budget or usual_budget end
  if o.replay then
    local t, why = replay.file(o.replay)
    return say(t and dispatch.text(t), why)
  end
  local run = set_up(o)
  run.begin, run.ends = begin, begin + (o.budget or math.huge)
  run.deadline = run.ends - reserved(o.budget or math.huge)
  if o.unless_tuned and tuned_already(run) then
    screen.line(run.screen, "this machine is tuned already: %s", run.path)
    return 0
  end
  local hint = hint_table(o.hints)
  start(run)
  if o.list then return list_candidates(run.pool, o.exhaustive) end
  return tune(run, hint)
end

local ok, result = pcall(main)
if not ok and result ~= measure.interruption then die(FAILED, tostring(result)) end
os.exit(ok and result or INTERRUPTED)
