-- search: one job after the other: which kernel decodes fastest, which batch kernels go with its layout, and
-- which layout serves the objective best. Stages of a job are races; each begins with what the last one left.

local race = require "race"
local candidates = require "candidates"
local measure = require "measure"
local sparse = require "sparse"
local store = require "store"
local name = require "name"
local linux = require "linux"
local cuts = require "cuts"
local state = require "state"
local confidence = require "confidence"
local expectation = require "cost"
local space = require "space"

local search = {}

local few_tokens = 6
local batch_tokens = 48   -- tokens of a prompt batch, or the next multiple of what a kernel takes at once
local call_tokens = 60    -- the same where all kernels of a plan are timed, each calling itself again and again
local carried = 1.3       -- slower than this times the best on a model's largest job: not tried on its others
-- rounds before anyone leaves: timing a candidate once more costs a hundredth of what building it did
local grace, batch_grace = 3, 1
local decode_part = { decode = 0.85, balanced = 0.65, prompt = 0.5 } -- of a job's time; the rest is for batches
-- decode cost, of the best, up to which the batch kernels of a layout are raced
local worth_a_batch = { decode = 1.02, balanced = 1.15, prompt = 2 }
local drift_allowed = 0.05
local seconds_each = 0.03 -- that racing a candidate that is built takes, about
local staged_only = { tiles = true, fine1 = true, fine2 = true }
local stages = { "tiles", "fine1", "fine2", "all", "final", "batches", "batches-fine" }

-- o: pool (candidates.new), measure, store, compiler, threads, objective; exhaustive: every candidate on every job;
-- hinted(job, many): candidates to try first, for one token or for batches; progress(state); look(): the machine's
-- state in words, nil if clean; machine: memory (bytes), read_of(job, layout) (GB/s), and read and ghz, if known.
function search.new(o)
  local s = { drift = 1, fresh = 0, untried = {}, asked = {} }
  for key, value in pairs(o) do s[key] = value end
  s.look = s.look or function() end
  s.default, s.usual = candidates.default(s.pool), {}
  for _, c in ipairs(s.default) do s.usual[c] = true end
  return s
end

-- -- one race ------------------------------------------------------------------------------------------------

-- What is timed: weights only if a whole model of them is less than what rotates.
function search.timed(s, job)
  local whole = job.weights and job.weights / 4 < s.machine.memory and job.weights or nil
  return { m = job.m, k = job.k, group = job.group, weights = whole, active = job.active }
end

local function record_of(s, job, stage, tokens, c)
  return { kind = tokens == 1 and "decode" or "prompt", stage = stage, name = c.name, hash = c.hash,
    compiler = s.compiler, threads = s.threads, m = job.m, k = job.k, group = job.group,
    span = search.timed(s, job).weights, active = job.active }
end

local function note_best(s, job, tokens, c, ns)
  local seen = s.state
  if tokens > 1 or job.active then return end
  if c == s.default[1] then seen.default_ns = math.min(seen.default_ns or ns, ns) end
  if ns < (seen.ns or math.huge) then
    seen.ns, seen.gbps = ns, measure.bytes(job, c.layout) / ns
    seen.share = seen.gbps / s.machine.read_of(search.timed(s, job), c.layout)
  end
end

-- Kernels for a few tokens race alone, on weights from memory (short prompts, drafts to verify), not in large batches;
-- those for many run whole.
local function tokens_for(c, tokens)
  if tokens == batch_tokens and c.tokens <= few_tokens and c.tokens > 1 then return c.tokens end
  return measure.whole(c, tokens)
end

local function take_sample(s, job, c, tokens)
  if not c.so then candidates.ready(s.pool, { c }, math.huge, 1) end
  if c.failed then return nil, c.failed end
  local ns, why = measure.time(s.measure, { c }, search.timed(s, job), tokens_for(c, tokens))
  s.untried[c] = nil
  if not ns then candidates.fail(s.pool, c, why) end
  return ns, why
end

-- Whether earlier samples of a race cannot count: the machine was slower then, or, where others are to be
-- compared with them (`mixed`), it is slower now. The reference tells.
local function machine_changed(s, job, tokens, reference, earlier, mixed)
  local then_ns, now_ns, last = race.fastest(earlier), math.huge, s.asked[job] and s.asked[job][tokens]
  if then_ns == math.huge then return false end
  if not last then
    for _ = 1, 3 do now_ns = math.min(now_ns, (take_sample(s, job, reference, tokens)) or math.huge) end
    s.asked[job] = s.asked[job] or {}
    s.asked[job][tokens] = now_ns
  end
  local ratio = (last or now_ns) / then_ns
  return ratio < 1 - drift_allowed or (mixed and ratio > 1 + drift_allowed)
end

local function usable(s, list, job)
  local out, seen = {}, {}
  for _, c in ipairs(list) do
    if not seen[c] and candidates.fits(c, job) then out[#out + 1] = c end
    seen[c] = true
  end
  for i = #out, 1, -1 do
    candidates.proven(s.pool, out[i])
    if out[i].failed then table.remove(out, i) end
  end
  return out
end

local function show(s, what, done, total)
  local seen = s.state
  seen.what, seen.done, seen.total = what, done, total
  s.progress(seen)
end

-- What of `list` can be raced, built and proven, the reference in front; how many of it were new; how many were
-- left for lack of time.
local function entrants(s, job, list, o, earlier)
  local missing, least, left = {}, (o.least or 0) + 1, 0
  table.insert(list, 1, o.reference)
  list = usable(s, list, job)
  for _, c in ipairs(list) do if #earlier(c) == 0 or not c.right then missing[#missing + 1] = c end end
  candidates.ready(s.pool, missing, linux.now() + 0.75 * (o.deadline - linux.now()), least,
    function(what, done, total) show(s, what, done, total) end)
  for i = #list, 1, -1 do
    if not list[i].right then
      s.untried[list[i]] = not list[i].failed or nil
      left = left + (list[i].failed and 0 or 1)
      table.remove(list, i)
    end
  end
  return list, #missing, left
end

-- sample and leave of race.run: earlier samples first (unless `anew`); new ones are stored when their candidate
-- leaves, or all at once by flush(), which returns the hashes of all that were asked for and had an answer.
local function samples(s, job, stage, tokens, earlier, anew)
  local pending, hashes = {}, {}
  local function answered(c)
    if not hashes[c] then table.insert(hashes, c.hash) end
    hashes[c] = true
  end
  local function sample(c, round)
    local list = not anew and earlier(c) or {}
    if list[round] then
      answered(c)
      return list[round]
    end
    local ns, why = take_sample(s, job, c, tokens)
    s.fresh = s.fresh + 1
    if ns then
      answered(c)
      pending[c] = pending[c] or {}
      table.insert(pending[c], ns)
    end
    return ns, why
  end
  local function keep(c)
    if not pending[c] then return end
    local record = record_of(s, job, stage, tokens, c)
    record.ns, record.anew = pending[c], anew or nil
    pending[c] = nil
    store.add(s.store, record)
  end
  local function flush()
    local left = {}
    for c in pairs(pending) do left[#left + 1] = c end
    for _, c in ipairs(left) do keep(c) end
    local list = {}
    for i, hash in ipairs(hashes) do list[i] = hash end
    table.sort(list)
    return list
  end
  return sample, function(e) keep(e.item) end, flush
end

local function race_of(s, job, stage)
  local record = record_of(s, job, stage, 1, {})
  record.kind = "race"
  return record
end

-- The state the machine was in when a stage's samples were taken; nil: clean, or not taken.
local function state_of(s, job, stage)
  local last = store.race(s.store, race_of(s, job, stage))
  return last and last.state
end

-- Keeps who took part, unless that is known: what was measured together is what decides.
local function note_race(s, job, stage, hashes, left, bad)
  local record = race_of(s, job, stage)
  local last = store.race(s.store, record)
  if #hashes == 0 then return end
  local same = last and last.left == left and last.state == bad
  if same and table.concat(last.hashes, " ") == table.concat(hashes, " ") then return end
  record.hashes, record.left, record.state = hashes, left, bad
  store.add(s.store, record)
end

-- Whether a stage is to be measured anew, whatever is stored: the machine was in a bad state then and is not now, or
-- the reference tells that it was slower, or is.
local function begins_anew(s, job, stage, list, new, o, earlier)
  local before = earlier(o.reference)
  if #before == 0 or new >= #list then return false end
  local has_time = linux.now() + #list * seconds_each < o.deadline
  if has_time and state.bad(state_of(s, job, stage)) and not s.look() then return true end
  return machine_changed(s, job, o.tokens, o.reference, before, new > 0)
end

-- What the machine's state was during a race: before it, after it, and as the reference felt it (drift; nil if the race
-- was interrupted).
local function state_during(s, before, drift)
  if not drift then return before end
  return state.text(before or "", s.look() or "", drift > state.unsteady and "unsteady" or "")
end

-- Races `list` on a job: its entries. o: tokens, deadline, group, rounds, grace; the first o.least of the list and
-- o.reference run even if time is short.
local function run_race(s, job, stage, list, o)
  local function earlier(c) return store.samples(s.store, record_of(s, job, stage, o.tokens, c)) or {} end
  local done, fresh, before = 0, s.fresh, s.look()
  local new, left
  list, new, left = entrants(s, job, list, o, earlier)
  local anew = begins_anew(s, job, stage, list, new, o, earlier)
  local sample, leave, flush = samples(s, job, stage, o.tokens, earlier, anew)
  local ok, entries, drift = pcall(race.run, list, {
    sample = sample, leave = leave, reference = o.reference, rounds = o.rounds, least = (o.least or 0) + 1,
    group = o.group, grace = o.grace, late = function() return linux.now() > o.deadline end,
    known = function(c) return not anew and #earlier(c) > 0 end,
    progress = function(e, round)
      done = round == 1 and done + 1 or done
      note_best(s, job, o.tokens, e.item, e.ns)
      show(s, round == 1 and "racing" or "round " .. round, math.min(done, #list), #list)
    end,
  })
  local hashes, bad = flush(), state_of(s, job, stage)
  if s.fresh > fresh then bad = state_during(s, before, ok and drift) end
  note_race(s, job, stage, hashes, left, bad)
  if not ok then error(entries, 0) end
  if o.tokens == 1 then s.drift = math.max(s.drift, drift) end
  return entries
end

local function items(entries, most, within)
  local list = {}
  for i, e in ipairs(entries) do
    if i <= (most or #entries) and e.ns <= entries[1].ns * (within or math.huge) then list[#list + 1] = e.item end
  end
  return list
end

-- What runs anyway is the simplest: within noise there is no reason to leave the default.
local function ranked(s, entries)
  return race.ranked(entries, function(a, b)
    if s.usual[a] ~= s.usual[b] then return s.usual[a] end
    return candidates.simpler(a, b)
  end)
end

local function join(...)
  local out = {}
  for _, list in ipairs { ... } do for _, item in ipairs(list) do out[#out + 1] = item end end
  return out
end

-- -- decoding ----------------------------------------------------------------------------------------------

local function part(deadline, fraction) return linux.now() + fraction * (deadline - linux.now()) end

-- How long a candidate should take.
local function expected(s, job, c)
  return expectation.ns(c, job, { threads = s.threads, read = s.machine.read, ghz = s.machine.ghz })
end

-- What the cost model expects most of comes first.
local function by_cost(s, job, list)
  return expectation.order(list, function(c) return expected(s, job, c) end)
end

-- Tiles first, then the fine parameters of the best few: entries, the best first.
local function decode_staged(s, job, set, deadline)
  local reference = s.default[1]
  local first = not set.decode
  local list = join(s.hinted(job, false), first and by_cost(s, job, candidates.tiles(s.pool, false)) or set.decode)
  local tiles = ranked(s, run_race(s, job, "tiles", list, { tokens = 1, reference = reference,
    deadline = part(deadline, 0.6), least = #s.hinted(job, false), grace = grace }))
  if first then set.decode = items(tiles, nil, carried) end
  local all = tiles
  local best = items(tiles, 3)
  for step = 1, 2 do
    local near = {}
    for _, c in ipairs(best) do near = join(near, { c }, by_cost(s, job, candidates.neighbours(s.pool, c))) end
    local fine = ranked(s, run_race(s, job, "fine" .. step, near, { tokens = 1, reference = reference,
      deadline = part(deadline, step == 1 and 0.6 or 1), grace = grace }))
    all = join(fine, all)
    if first then set.decode = join(set.decode, items(fine, 6, 1.1)) end
    best = items(fine, 1)
  end
  return all
end

-- Every candidate there is.
local function decode_all(s, job, deadline)
  local list = join(s.hinted(job, false), by_cost(s, job, candidates.all(s.pool, false)))
  return ranked(s, run_race(s, job, "all", list, { tokens = 1, reference = s.default[1], deadline = deadline,
    grace = grace }))
end

-- The best, then the best of each layout once more, all together. What that last race says.
local function decode(s, job, set, deadline)
  local all = s.exhaustive and decode_all(s, job, deadline) or decode_staged(s, job, set, deadline)
  local final, seen = items(all, 3), {}
  table.sort(all, function(a, b) return a.ns < b.ns end)
  for _, e in ipairs(all) do
    local layout = e.item.layout.name
    if not seen[layout] and e.ns <= all[1].ns * worth_a_batch[s.objective] then final[#final + 1] = e.item end
    seen[layout] = true
  end
  return ranked(s, run_race(s, job, "final", final, { tokens = 1, reference = s.default[1], deadline = math.huge,
    rounds = 24, grace = 2 * grace }))
end

-- -- batches --------------------------------------------------------------------------------------------------

local function group_of(c) return c.layout.name .. " " .. c.tokens end

-- Kernels for batches in the layouts of the decode race, layouts and numbers of tokens in turn; where a layout has
-- none, its kernel for one token stands for all.
local function batch_candidates(s, job, final, set)
  local queues, seen, layouts = {}, {}, 0
  for _, e in ipairs(final) do
    local layout = e.item.layout.name
    if not seen[layout] and layouts < 3 and e.ns <= final[1].ns * worth_a_batch[s.objective] then
      seen[layout], layouts = true, layouts + 1
      local tiles, of = set.batch[layout] or by_cost(s, job, candidates.tiles(s.pool, true, layout)), {}
      for _, c in ipairs(#tiles > 0 and tiles or { e.item }) do
        if not of[c.tokens] then
          of[c.tokens] = {}
          queues[#queues + 1] = of[c.tokens]
        end
        table.insert(of[c.tokens], c)
      end
    end
  end
  return candidates.in_turn(queues)
end

-- For each layout: its batch kernels by tokens ({ entries, ranked }).
local function grouped(s, entries)
  local layouts = {}
  for _, e in ipairs(entries) do
    if e.ns then
      local of = layouts[e.item.layout.name] or {}
      layouts[e.item.layout.name] = of
      of[e.item.tokens] = of[e.item.tokens] or {}
      table.insert(of[e.item.tokens], e)
    end
  end
  for _, of in pairs(layouts) do
    for tokens, list in pairs(of) do of[tokens] = ranked(s, list) end
  end
  return layouts
end

-- The default's kernels for batches, the last of which is the reference.
local function usual_batches(s)
  local usual = { select(2, unpack(s.default)) }
  return usual, usual[#usual] or s.default[1]
end

local function batches(s, job, set, final, deadline)
  local usual, reference = usual_batches(s)
  local list = join(usual, s.hinted(job, true), batch_candidates(s, job, final, set),
    s.exhaustive and candidates.all(s.pool, true) or {})
  local entries = run_race(s, job, "batches", list, { tokens = batch_tokens, reference = reference,
    deadline = part(deadline, 0.8), least = #usual, group = group_of, rounds = 5, grace = batch_grace })
  local near = {}
  for layout, of in pairs(grouped(s, entries)) do
    local keep = {}
    for _, group in pairs(of) do
      keep = join(keep, items(group, nil, carried))
      near = join(near, { group[1].item }, candidates.neighbours(s.pool, group[1].item))
    end
    set.batch[layout] = set.batch[layout] or keep
  end
  table.sort(near, function(a, b) return a.name < b.name end)
  run_race(s, job, "batches-fine", near, { tokens = batch_tokens, reference = reference,
    deadline = deadline, group = group_of, rounds = 5, grace = batch_grace })
end

-- For each layout its batch kernels by tokens: those of the fine race, where it had any.
local function batch_kernels(s, entries, fine)
  local by_layout = grouped(s, fine)
  for layout, of in pairs(grouped(s, entries)) do
    by_layout[layout] = by_layout[layout] or {}
    for tokens, group in pairs(of) do by_layout[layout][tokens] = by_layout[layout][tokens] or group end
  end
  return by_layout
end

-- What a call of each kernel that may be chosen costs in a batch, all of them in turns: nobody leaves.
local function calls(s, job, final, by_layout)
  local list, seen = {}, {}
  for _, e in ipairs(final) do
    local layout = e.item.layout.name
    local of = not seen[layout] and by_layout[layout]
    seen[layout] = true
    if of then list[#list + 1] = e.item end
    for tokens, group in pairs(of or {}) do if tokens > 1 then list[#list + 1] = group[1].item end end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  run_race(s, job, "calls", list, { tokens = call_tokens, reference = final[1].item, deadline = math.huge,
    group = function(c) return c.name end, rounds = 8 })
end

-- -- the choice -----------------------------------------------------------------------------------------------

-- per_token: of kernels in a batch, as far as calls() timed them (noise apart, no slower than on weights from memory).
-- Where it did not, the cost to cut by is a guess.
local function kernel_entry(job, group, tokens, per_token)
  local c, ns, other = group[1].item, group[1].ns, group[2]
  local bytes, again = measure.bytes(job, c.layout), per_token[c] and math.min(per_token[c], ns)
  return { candidate = c, tokens = c.tokens, name = c.name, hash = c.hash, ns = ns * (tokens > 1 and c.tokens or 1),
    bytes = bytes, gbps = tokens == 1 and bytes / ns or nil,
    call_ns = again and again * c.tokens, cost = (again or ns) * c.tokens,
    runner_up = other and other.item.name, margin = other and other.ns / ns - 1,
    runner = other and other.item, samples = group[1].samples, runner_samples = other and other.samples }
end

-- Kernels by ascending tokens, as far as they make any number of tokens cheaper; and what a token of a prompt costs,
-- nil if nobody knows.
local function plan_of(job, single, of, per_token)
  local list, cost = { kernel_entry(job, single, 1, per_token) }, per_token[single[1].item]
  for tokens, group in pairs(of) do
    if tokens > 1 then list[#list + 1] = kernel_entry(job, group, tokens, per_token) end
  end
  table.sort(list, function(a, b) return a.tokens < b.tokens end)
  list = cuts.keep(list)
  for i = 2, #list do cost = math.min(cost or math.huge, list[i].cost / list[i].tokens) end
  return list, cost or of[1] and of[1][1].ns or next(of) and single[1].ns
end

-- Fastest first, the one of `layout` in front: the winner and its runner-up.
local function with_layout(final, layout)
  local out = {}
  for _, e in ipairs(final) do
    if e.item.layout.name == layout and not out[1] then out[1] = e end
  end
  for _, e in ipairs(final) do if e ~= out[1] then out[#out + 1] = e end end
  return out
end

-- How decode and prompt count; balanced weighs decoding twice.
search.exponents = { decode = { 1, 0 }, balanced = { 2, 1 }, prompt = { 0, 1 } }

-- The plan that begins with the first of `singles`, with its score; nil if nobody knows what its batches cost.
local function plan_with(s, job, singles, of, per_token)
  local kernels, cost = plan_of(job, singles, of, per_token)
  local weigh = search.exponents[s.objective]
  return cost and { role = job.role, m = job.m, k = job.k, group = job.group, layout = singles[1].item.layout.name,
    kernels = kernels, score = singles[1].ns ^ weigh[1] * cost ^ weigh[2], decode_ns = singles[1].ns, prompt_ns = cost }
end

-- The next best plan: of another layout; where there is none, of the same with its second kernel for one token.
local function second_plan(s, job, plans, best, final, of, per_token)
  local second, rest
  for _, plan in ipairs(plans) do
    if plan ~= best and (not second or plan.score < second.score) then second = plan end
  end
  if second then return second end
  for _, e in ipairs(final) do
    if e.item.layout.name == best.layout and e.item ~= best.kernels[1].candidate then
      rest = rest or with_layout(final, best.layout)
      if rest[1].item ~= e.item then return plan_with(s, job, { e, rest[1] }, of, per_token) end
    end
  end
end

-- What runs untuned, as far as it was measured.
local function usual_plan(s, job, final, by_layout, per_token)
  local kernels = {}
  for _, c in ipairs(s.default) do
    local of = by_layout[c.layout.name]
    for _, e in ipairs(c.tokens == 1 and final or of and of[c.tokens] or {}) do
      if e.item == c then kernels[#kernels + 1] = kernel_entry(job, { e }, c.tokens, per_token) end
    end
  end
  if not kernels[1] or kernels[1].tokens > 1 then return nil end
  local last = kernels[#kernels]
  return { layout = kernels[1].candidate.layout.name, kernels = kernels, decode_ns = kernels[1].ns,
    prompt_ns = last.ns / last.tokens }
end

-- The layout whose decode and prompt kernels together serve the objective best.
local function choose(s, job, final, by_layout, per_token, usual_prompt)
  local best, plans, has, usual_decode = nil, {}, {}, nil
  for _, e in ipairs(final) do
    local layout = e.item.layout.name
    if e.item == s.default[1] then usual_decode = e.ns end
    local plan = not has[layout] and plan_with(s, job, with_layout(final, layout), by_layout[layout] or {}, per_token)
    has[layout] = true
    if plan then
      plans[#plans + 1] = plan
      if not best or plan.score < best.score * (1 - race.noise) then best = plan end
    end
  end
  if best then
    best.second = second_plan(s, job, plans, best, final, by_layout[best.layout] or {}, per_token)
    best.usual = usual_plan(s, job, final, by_layout, per_token)
    best.usual_ns, best.weights = usual_decode, job.weights
    best.gain = usual_decode and usual_decode / best.decode_ns
    best.prompt_gain = usual_prompt and usual_prompt / best.prompt_ns
    local k = best.kernels[1]
    k.confidence = k.runner_samples and confidence(k.samples, k.runner_samples)
    best.state = state.text(state_of(s, job, "final") or "", state_of(s, job, "batches") or "")
  end
  return best
end

-- The candidate that was measured under this hash; nil if it is another today, or has failed.
local function known(s, hash)
  local point = name.parse(store.name(s.store, hash))
  local c = point and candidates.of(s.pool, point)
  if not c or c.hash ~= hash then return nil end
  candidates.proven(s.pool, c)
  return not c.failed and c or nil
end

-- The entries of a job's last race of that stage, as stored.
local function recorded(s, job, stage, tokens)
  local last, entries = store.race(s.store, race_of(s, job, stage)), {}
  for _, hash in ipairs(last and last.hashes or {}) do
    local c = known(s, hash)
    local list = c and store.samples(s.store, record_of(s, job, stage, tokens, c))
    if list and #list > 0 and candidates.fits(c, job) then
      entries[#entries + 1] = { item = c, samples = list, ns = race.fastest(list) }
    end
  end
  return entries
end

-- Beside a job's choice: its sparse kernel by what is stored, which is measured first if there is a deadline.
local function add_sparse(s, job, choice, deadline)
  local dense = choice.kernels[1].candidate
  local function in_order(entries) return ranked(s, entries) end
  if deadline then
    sparse.measure(s.pool, job, dense, deadline, function(...) return run_race(s, ...) end, in_order)
  end
  choice.sparse = sparse.decide(job, dense.hash, function(part_of, stage) return recorded(s, part_of, stage, 1) end,
    in_order)
  return choice
end

local function ns_of(entries)
  local ns = {}
  for _, e in ipairs(entries) do ns[e.item] = e.ns end
  return ns
end

-- The batch kernels of each layout by tokens, as far as they are stored; and their times.
local function stored_batches(s, job)
  local entries, fine = recorded(s, job, "batches", batch_tokens), recorded(s, job, "batches-fine", batch_tokens)
  return batch_kernels(s, entries, fine), ns_of(entries)
end

-- A job's entry for the table by what is stored, without measuring anything; nil if that does not suffice.
function search.decide(s, job)
  local final = ranked(s, recorded(s, job, "final", 1))
  if #final == 0 then return nil end
  local _, reference = usual_batches(s)
  local by_layout, ns = stored_batches(s, job)
  local choice = choose(s, job, final, by_layout, ns_of(recorded(s, job, "calls", call_tokens)), ns[reference])
  return choice and add_sparse(s, job, choice)
end

-- How many candidates a job's races timed, how many were wrong or crashed, in them or in others, and how many
-- were left for lack of time.
function search.tried(s, job)
  local seen, tried, left = {}, 0, 0
  for _, stage in ipairs(stages) do
    local last = store.race(s.store, race_of(s, job, stage))
    left = left + (last and last.left or 0)
    for _, hash in ipairs(last and last.hashes or {}) do
      tried = tried + (seen[hash] and 0 or 1)
      seen[hash] = true
    end
  end
  return tried, store.failures(s.store), left
end

-- How many of a job's races the machine's bad state touched.
function search.touched(s, job)
  local n = 0
  for _, stage in ipairs(stages) do
    local other = s.exhaustive and staged_only[stage] or not s.exhaustive and stage == "all"
    if not other and state.bad(state_of(s, job, stage)) then n = n + 1 end
  end
  return n
end

-- How alike the cost model and the clock order what was raced for a job (1: the same), and of how many; nil if that
-- says nothing.
function search.agreement(s, job)
  local guessed, measured = {}, {}
  for i, e in ipairs(join(recorded(s, job, "tiles", 1), recorded(s, job, "all", 1))) do
    guessed[i], measured[i] = expected(s, job, e.item), e.ns
  end
  return expectation.correlation(guessed, measured), #measured
end

-- Forgets what this run has seen, not what is stored: jobs begin anew, with earlier samples.
function search.again(s, sets)
  s.untried, s.asked = {}, {}
  for _, set in ipairs(sets) do set.decode, set.batch = nil, nil end
end

-- One job, until the deadline: its entry for the table, or nil if time did not suffice. What was measured is
-- stored before it decides, so that whoever reads it decides the same.
function search.job(s, job, set, deadline)
  set.batch = set.batch or {}
  s.state = { job = job }
  local final = decode(s, job, set, part(deadline, decode_part[s.objective]))
  if #final == 0 then return nil end
  batches(s, job, set, final, space.sparse[job.role] and part(deadline, 0.6) or deadline)
  calls(s, job, final, (stored_batches(s, job)))
  local choice = search.decide(s, job)
  if choice then add_sparse(s, job, choice, deadline) end
  if choice then s.machine.read_of(search.timed(s, job), choice.kernels[1].candidate.layout, true) end
  return choice
end

return search
