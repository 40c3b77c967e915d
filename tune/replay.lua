-- replay: decides by what is stored, without timing anything: no compiler, no library. A tuning run ends here, too.

local space = require "space"
local candidates = require "candidates"
local search = require "search"
local measure = require "measure"
local store = require "store"
local dispatch = require "dispatch"
local trial = require "trial"

local replay = {}

local function existing(names)
  local list = {}
  for _, isa in ipairs(names) do if pcall(space.isa, isa) then list[#list + 1] = isa end end
  return list
end

-- A search that can decide, not measure, as that run would.
function replay.search(kept, run)
  local pool = candidates.new { present = existing(run.present), isas = existing(run.isas), group = run.group,
    store = kept, compiler = run.compiler, untuned = run.untuned }
  return search.new { pool = pool, store = kept, compiler = run.compiler, threads = run.threads,
    objective = run.objective, machine = { memory = run.memory } }
end

-- Sets the share of the bandwidth that was measured in the same run.
local function add_share(kept, run, job, timed)
  local k = job.kernels[1]
  local read = store.reading(kept, run, measure.span(timed, k.candidate.layout)) or store.reading(kept, run, 0)
  job.read_gbps = read
  k.share = read and k.gbps / read
end

-- The choices for a run's jobs, each role and shape once, as far as what is stored suffices; with the end of the trial
-- that they won or lost, if there was one (trial.settle).
function replay.choices(s, kept, run)
  local list, has = {}, {}
  for _, job in ipairs(run.jobs) do
    local choice = not has[dispatch.key(job)] and search.decide(s, job)
    if choice then
      has[dispatch.key(job)] = true
      choice.tried, choice.failed, choice.left = search.tried(s, job)
      list[#list + 1] = choice
    end
  end
  local ended = trial.settle(kept, run, list)
  for _, choice in ipairs(list) do add_share(kept, run, choice, search.timed(s, choice)) end
  return list, ended
end

-- A run's table, with these jobs, and what its trial said.
function replay.table(kept, run, jobs, ended)
  ended = ended or {}
  return { cpu = run.cpu, arch = run.arch, compiler = run.compiler, threads = run.threads,
    read_gbps = store.reading(kept, run, 0), pool_mib = math.floor(run.memory / 2 ^ 20), objective = run.objective,
    date = kept.newest:match("^%d%d%d%d%-%d%d%-%d%d") or "an unknown day", jobs = jobs,
    decode = ended.decode, prompt = ended.prompt, huge = ended.huge, confirmed = ended.confirmed }
end

-- The table of the newest run, and of earlier ones what it left as it was; nil and why.
function replay.decide(kept)
  local last = kept.runs[#kept.runs]
  if not last then return nil, "no tuning run is recorded there" end
  local jobs, has, ended = {}, {}, nil
  for i = #kept.runs, 1, -1 do
    local run = kept.runs[i]
    if run.cpu == last.cpu and run.compiler == last.compiler and run.threads == last.threads then
      local ok, s = pcall(replay.search, kept, run)
      if not ok then return nil, tostring(s) end
      local choices, trial_of_run = replay.choices(s, kept, run)
      ended = ended or trial_of_run
      for _, choice in ipairs(choices) do
        if not has[dispatch.key(choice)] then jobs[#jobs + 1] = choice end
        has[dispatch.key(choice)] = true
      end
    end
  end
  if #jobs == 0 then return nil, "no race in there was run to its end" end
  return replay.table(kept, last, jobs, ended)
end

-- The table a file of measurements leads to, and its store; nil and one sentence.
function replay.file(path)
  local kept, why = store.load(path)
  if not kept then return nil, why end
  local t
  t, why = replay.decide(kept)
  if not t then return nil, path .. ": " .. why end
  return t, kept
end

return replay
