-- trial: tables and settings against each other on the real forward pass, in turns; and what follows from that. What
-- was measured is stored, and decided by later alike: here nobody looks at a clock but to end in time.

local shapes = require "shapes"
local dispatch = require "dispatch"
local search = require "search"
local store = require "store"
local race = require "race"

local trial = { least = 7 } -- rounds

local most = 21
local grace = 2 -- seconds that rounds may take in any case
local prompt_tokens = 24 -- which the kernels for 2, 3, 4, 6, 8 and 12 tokens divide
local settings_noise = 0.02 -- within this, the simple setting stays

-- -- who is compared ---------------------------------------------------------------------------------------------

-- The jobs of one model among choices, by role; nil unless all are there.
local function by_role(choices, jobs, model)
  local chosen, of = {}, {}
  for _, choice in ipairs(choices) do chosen[dispatch.key(choice)] = choice end
  for _, job in ipairs(jobs) do
    if job.model == model then of[job.role] = chosen[dispatch.key(job)] end
  end
  for _, role in ipairs(shapes.roles) do if not of[role] then return nil end end
  return of
end

local function identity(plans)
  local parts = {}
  for _, role in ipairs(shapes.roles) do
    for _, k in ipairs(plans[role].kernels) do parts[#parts + 1] = k.hash end
    parts[#parts + 1] = ";"
  end
  return table.concat(parts, " ")
end

-- The table as chosen, the one of next best plans, and what runs untuned: each { label, plans by role, id }, none
-- twice. nil if a job of the model was not decided.
function trial.contestants(choices, jobs, model)
  local of, list, has = by_role(choices, jobs, model), {}, {}
  if not of then return nil end
  local function add(label, pick)
    local c = { label = label, plans = {} }
    for _, role in ipairs(shapes.roles) do
      c.plans[role] = pick(of[role])
      if not c.plans[role] then return end
    end
    c.id = identity(c.plans)
    if has[c.id] then
      has[c.id].usual = has[c.id].usual or label == "default"
    else
      list[#list + 1], has[c.id] = c, c
      c.usual = label == "default"
    end
  end
  add("best", function(job) return job end)
  add("second", function(job) return job.second or job end)
  add("default", function(job) return job.usual end)
  return list
end

-- -- measuring ---------------------------------------------------------------------------------------------------

-- As many layers of a model as stream at least `bytes` of packed weights, and as much of its vocabulary.
function trial.part(model, weights, bytes)
  local layers = math.min(model.layers, math.max(1, math.ceil(bytes / (weights / 4 / model.layers))))
  local part = {}
  for key, value in pairs(model) do part[key] = value end
  part.layers, part.vocab = layers, math.ceil(model.vocab * layers / model.layers)
  return part
end

-- Ways to run the phases: the simple one first. cores, threads (of the hardware); only: this many threads.
function trial.settings(cores, threads, only)
  local list, has = {}, {}
  local function add(n, pinned, huge)
    local key = ("%d %s %s"):format(n, tostring(pinned), tostring(huge))
    if n >= 1 and not has[key] then list[#list + 1] = { threads = n, pinned = pinned, huge = huge } end
    has[key] = true
  end
  local simple = only or cores
  add(simple, false, true)
  add(simple, true, true)
  add(simple, false, false)
  if only then return list end
  add(threads, false, true)
  add(threads, true, true)
  add(cores - 1, false, true)
  add(math.floor(cores / 2), false, true)
  return list
end

-- Rounds of all in turns: entries get decode = {}, prompt = {}: nanoseconds per token, and bits of what they computed.
-- o: sample(entry, phase): ns and bits, or nil and why; now(), deadline. How many rounds; nil and why, if they were
-- too few to say anything.
function trial.race(entries, o)
  local begin = o.now()
  for _, e in ipairs(entries) do e.decode, e.prompt, e.bits = {}, {}, {} end
  for round = 1, most do
    for i = 1, #entries do
      local e = entries[round % 2 == 1 and i or #entries + 1 - i]
      for _, phase in ipairs { "decode", "prompt" } do
        local ns, bits = o.sample(e, phase)
        if not ns then return nil, bits end
        e[phase][round], e.bits[phase] = ns, bits
      end
    end
    local each, left = (o.now() - begin) / round, o.deadline - o.now()
    if round < trial.least and each * (trial.least - round) > math.max(left, grace) then
      return nil, ("%d rounds would take %.1f s more"):format(trial.least, each * (trial.least - round) - left)
    end
    if round >= trial.least and left < each then return round end
  end
  return most
end

-- -- deciding ----------------------------------------------------------------------------------------------------

-- What a costs of what b does, round by round, weighed: the median, and in which share of the rounds a was ahead.
local function against(a, b, weigh)
  local ratios, ahead = {}, 0
  for i = 1, math.min(#a.decode, #b.decode) do
    local ratio = ((a.decode[i] / b.decode[i]) ^ weigh[1] * (a.prompt[i] / b.prompt[i]) ^ weigh[2])
      ^ (1 / (weigh[1] + weigh[2]))
    ratios[i] = ratio
    ahead = ahead + (ratio < 1 and 1 or 0)
  end
  return race.median(ratios), ahead / #ratios
end

trial.against = against

-- The best of a list by weighed time; the first, unless another is faster by more than noise, and in three of four
-- rounds.
local function winner(list, weigh, noise)
  local best, least = list[1], 1
  for i = 2, #list do
    local ratio, ahead = against(list[i], list[1], weigh)
    if ratio < math.min(least, 1 - noise) and ahead >= 0.75 then best, least = list[i], ratio end
  end
  return best
end

-- Those that computed what the default did; the others' refusals, as sentences.
local function right(entries)
  local list, refused, usual = {}, {}, entries[#entries]
  for _, e in ipairs(entries) do if e.usual then usual = e end end
  for _, e in ipairs(entries) do
    if e.bits.decode == usual.bits.decode and e.bits.prompt == usual.bits.prompt then list[#list + 1] = e
    else
      refused[#refused + 1] = ("the %s table is refused: on the forward pass its logits are not those of the default "
        .. "kernels"):format(e.label)
    end
  end
  return list, refused
end

-- Which setting runs each phase, and whether weights lie in huge pages, by a trial's record.
function trial.setting(record)
  local ways, huge = {}, {}
  for _, s in ipairs(record.settings) do
    if s.huge then ways[#ways + 1] = s end
    if s.huge and #huge == 0 or not s.huge then huge[#huge + 1] = s end
  end
  local out = { huge = winner(huge, search.exponents[record.objective], settings_noise).huge }
  for phase, weigh in pairs { decode = { 1, 0 }, prompt = { 0, 1 } } do
    local w = winner(ways, weigh, settings_noise)
    out[phase] = { threads = w.threads, pinned = w.pinned }
  end
  return out
end

local function rate(e, phase) return e and 1e9 / race.fastest(e[phase]) end

-- What a trial's record says of the tables: the winner, and what the dispatch table tells of it.
function trial.verdict(record)
  local list, refused = right(record.contestants)
  local weigh, by = search.exponents[record.objective], {}
  local best = winner(list, weigh, race.noise)
  for _, e in ipairs(record.contestants) do by[e.usual and "default" or e.label] = e end
  local said = { shape = record.model, layers = record.layers, of = record.of, vocab = record.vocab,
    prompt_tokens = record.prompt, rounds = #best.decode, winner = best.label, decode = rate(best, "decode"),
    prompt = rate(best, "prompt") }
  local other = best.label == "second" and by.best or by.second
  local rivals = { runner_up = other ~= best and other or nil, default = by.default }
  for name, e in pairs(rivals) do
    said[name .. "_decode"], said[name .. "_prompt"] = rate(e, "decode"), rate(e, "prompt")
    said[name .. "_ratio"] = against(e, best, weigh)
  end
  return best, said, refused
end

-- -- the table ---------------------------------------------------------------------------------------------------

-- The newest trial of these contestants, or nil.
local function recorded(kept, run, model, contestants)
  for i = #kept.trials, 1, -1 do
    local r = kept.trials[i]
    local same = r.model == model and r.compiler == run.compiler and r.threads == run.threads
      and r.objective == run.objective and #r.contestants == #contestants
    for j, c in ipairs(contestants) do same = same and r.contestants[j].id == c.id end
    if same then return r end
  end
end

-- The models that a run's jobs are of; jobs of ROWSxCOLUMNS are of none.
local function models_of(run)
  local list, has = {}, {}
  for _, job in ipairs(run.jobs) do
    local model = job.model
    if model and not has[model] then list[#list + 1], has[model] = model, true end
  end
  return list
end

-- Puts another plan in a choice's place.
local function take(choice, plan)
  if not plan or plan == choice then return end
  local usual_prompt = choice.prompt_gain and choice.prompt_gain * choice.prompt_ns
  choice.layout, choice.kernels, choice.decode_ns, choice.prompt_ns = plan.layout, plan.kernels, plan.decode_ns,
    plan.prompt_ns
  choice.gain = choice.usual_ns and choice.usual_ns / plan.decode_ns
  choice.prompt_gain = usual_prompt and usual_prompt / plan.prompt_ns
end

-- Decides by the stored trial of a run's choices, if there is one: choices become those of the table that won. Returns
-- { confirmed, decode, prompt, huge, refused }, or nil.
function trial.settle(kept, run, choices)
  for _, model in ipairs(models_of(run)) do
    local contestants = trial.contestants(choices, run.jobs, model)
    local record = contestants and recorded(kept, run, model, contestants)
    if record then
      local best, said, refused = trial.verdict(record)
      local of, plans = by_role(choices, run.jobs, model), nil
      for _, c in ipairs(contestants) do if c.label == best.label then plans = c.plans end end
      for _, role in ipairs(shapes.roles) do take(of[role], plans[role]) end
      local out = record.settings and trial.setting(record) or {}
      out.confirmed, out.refused = said, refused
      return out
    end
  end
end

local function copied(entries, keys)
  local list = {}
  for i, e in ipairs(entries) do
    list[i] = { decode = e.decode, prompt = e.prompt }
    for _, key in ipairs(keys) do list[i][key] = e[key] end
  end
  return list
end

local function build_all(o)
  for _, c in ipairs(o.contestants) do
    local ok, why = o.build(c.label, c.plans, true)
    if not ok then return nil, why end
  end
  return true
end

local function record_of(o)
  return { kind = "trial", run = o.run.id, model = o.name, compiler = o.run.compiler, threads = o.run.threads,
    objective = o.run.objective, layers = o.model.layers, of = o.of, vocab = o.model.vocab, prompt = prompt_tokens,
    contestants = copied(o.contestants, { "label", "id", "usual", "bits" }) }
end

-- Rounds of the settings with a table's plans; small pages need a model of their own. The settings, or nil.
local function race_settings(o, label)
  local plans
  for _, c in ipairs(o.contestants) do if c.label == label then plans = c.plans end end
  if not o.build("small pages", plans, false) then return nil end
  local rounds = trial.race(o.settings, { now = o.now, deadline = o.deadline,
    sample = function(s, phase) return o.sample(s.huge and label or "small pages", phase, s) end })
  return rounds and copied(o.settings, { "threads", "pinned", "huge" })
end

-- Runs the contestants of a model, then the settings with the winner, until o.deadline, and stores what came out.
-- o: contestants, run (a run's record), store, name and model (a part of one, trial.part), of (its layers in all),
-- settings, build(label, plans, huge): true, or nil and why; sample(label, phase, setting): ns and bits, or nil and
-- why; now(), deadline; alone: whether the cores are ours, without which settings say nothing: who leaves a core to
-- others would win. true, or nil and why nothing can be said.
function trial.measure(o)
  local built, problem = build_all(o)
  if not built then return nil, problem end
  local half = (o.now() + o.deadline) / 2
  local rounds, why = trial.race(o.contestants, { now = o.now, deadline = o.alone and half or o.deadline,
    sample = function(c, phase) return o.sample(c.label, phase, o.settings[1]) end })
  if not rounds then return nil, why end
  local record = record_of(o)
  record.settings = o.alone and race_settings(o, trial.verdict(record).label) or nil
  store.add(o.store, record)
  return true
end

trial.prompt_tokens = prompt_tokens

return trial
