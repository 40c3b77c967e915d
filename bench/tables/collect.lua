-- collect: which runs are worth the time there is, in which order, and what became of each. What was measured is kept
-- at once, so that whatever ends this, nothing is measured twice. Knows neither processes nor clocks: it is given both.

local figures = require "tables.figures"
local keep = require "tables.keep"

local collect = {}

-- Thrown by o.measure when Ctrl-C arrives.
collect.interruption = setmetatable({}, { __tostring = function() return "interrupted" end })

-- All runs of the tables, by importance: their level, then the order of tables and runs.
function collect.plan(tables, settings)
  local plan = {}
  for i, t in ipairs(tables) do
    for j, run in ipairs(t.runs(settings)) do
      run.table, run.place = t.name, i * 1000 + j
      plan[#plan + 1] = run
    end
  end
  table.sort(plan, function(a, b)
    if a.level ~= b.level then return a.level < b.level end
    return a.place < b.place
  end)
  return plan
end

-- What runs take beside what was estimated: the median over those that are known, within reason.
local function factor_of(c)
  return math.max(0.1, math.min(20, figures.median(c.factors) or 1))
end

-- Seconds that a run will take: as it took, if it ran before.
local function estimate(c, run) return run.took or run.seconds * factor_of(c) end

-- What is kept of a run: c.found has it by id, of other programs, too; run.state only if it need not be measured.
local function look(c, run)
  local record, why = keep.read(c.folder, run.id)
  if why then c.say("%s", why) end
  if record and record.key == run.key and record.machine == c.here.machine then
    c.found[run.id] = record
    run.took = record.seconds * run.repetitions / math.max(1, record.repetitions)
    c.factors[#c.factors + 1] = run.took / run.seconds
    if keep.current(record, run, c.here) and not c.again then run.state = "kept" end
  end
  if not run.state and c.unwanted(run) then run.state, run.why = "left out", c.unwanted(run) end
end

local function announce(c, plan)
  local seconds, kept, open = 0, 0, 0
  for _, run in ipairs(plan) do
    if run.state == "kept" then kept = kept + 1 end
    if not run.state then open, seconds = open + 1, seconds + estimate(c, run) end
  end
  c.say("%d runs were measured before; %d to do, about %.0f s; the budget is %.0f s", kept, open, seconds, c.budget)
end

local function record_of(c, run, outcome)
  return { id = run.id, key = run.key, program = c.here.programs[run.program], machine = c.here.machine,
    commit = c.here.commit, at = c.stamp(), seconds = outcome.seconds, repetitions = run.repetitions,
    command = outcome.command, notices = outcome.notices, turns = outcome.turns }
end

local function take(c, run, outcome)
  local record = record_of(c, run, outcome)
  local ok, why = keep.write(c.folder, record)
  if not ok then error(("results cannot be written: %s; choose another folder with --results"):format(why), 0) end
  c.found[run.id], run.state = record, "measured"
  c.factors[#c.factors + 1] = outcome.seconds / run.seconds
end

local function attempt(c, run, at, count)
  c.status(("%d/%d"):format(at, count), run.id, ("%.0f s left"):format(c.ends - c.now()))
  local outcome, why = c.measure(run, c.ends)
  if outcome then take(c, run, outcome) else run.state, run.why = "failed", why end
  c.say("%-16s %s", run.id, outcome and ("%.1f s"):format(outcome.seconds) or "not measured: " .. why)
end

local function each(c, plan)
  for i, run in ipairs(plan) do
    if c.interrupted() then error(collect.interruption, 0) end
    local seconds = estimate(c, run)
    if not run.state and c.now() + seconds > c.ends then
      run.state, run.why, run.would = "left out", "more than the budget left", seconds
    end
    if not run.state then attempt(c, run, i, #plan) end
  end
end

-- o: tables, settings (list.lua), folder of kept records, here = { machine, commit, programs = { name = hash } },
-- measure(run, deadline) -> { seconds, command, notices, turns } or nil and why, budget (seconds), now, stamp,
-- interrupted, say(format, ...), status(...), again (keep nothing), unwanted(run) -> why it is left out, or nil.
-- Returns the plan, each run with its state ("kept", "measured", "left out", "failed", or none after Ctrl-C) and why,
-- then found (records by id, such of other builds too), then whether Ctrl-C ended it.
function collect.all(o)
  local c = setmetatable({ found = {}, factors = {}, ends = o.now() + o.budget }, { __index = o })
  local plan = collect.plan(o.tables, o.settings)
  for _, run in ipairs(plan) do look(c, run) end
  announce(c, plan)
  local ok, why = pcall(each, c, plan)
  if not ok and why ~= collect.interruption then error(why, 0) end
  return plan, c.found, not ok
end

return collect
