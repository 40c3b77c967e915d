-- race: which of several candidates is fastest, from noisy samples: interleaved rounds, the minimum counts,
-- losers leave early, and within noise the simpler one wins. Knows neither kernels nor clocks.

local race = { noise = 0.01 }

-- Who is slower than this times the best of his group after round 1, 2, ... leaves.
local limits = { 1.25, 1.12, 1.07, 1.05, 1.04 }

-- A fixed shuffle, other in every round, that does not begin with `not_first`.
local function shuffled(entries, round, not_first)
  local order, state = {}, 12345 + 7919 * round
  for i, e in ipairs(entries) do order[i] = e end
  for i = #order, 2, -1 do
    state = (state * 16807) % 2147483647
    local j = state % i + 1
    order[i], order[j] = order[j], order[i]
  end
  if order[1] == not_first and #order > 1 then order[1], order[2] = order[2], order[1] end
  return order
end

local function best_of(entries)
  local best = {}
  for _, e in ipairs(entries) do
    if e.ns and (not best[e.group] or e.ns < best[e.group]) then best[e.group] = e.ns end
  end
  return best
end

local function survivors(entries, round, reference, leave)
  local best, kept = best_of(entries), {}
  local limit = round < 1 and math.huge or limits[math.min(round, #limits)]
  for _, e in ipairs(entries) do
    if e.ns and (e.item == reference or e.ns <= best[e.group] * limit) then kept[#kept + 1] = e
    elseif e.ns and leave then leave(e) end
  end
  return kept
end

function race.fastest(samples)
  local ns = math.huge
  for _, sample in ipairs(samples) do ns = math.min(ns, sample) end
  return ns
end

-- Of an even number of samples the lower of the two in the middle.
function race.median(samples)
  local list = {}
  for i, ns in ipairs(samples) do list[i] = ns end
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

-- items: in order of interest. o:
--   sample(item, round)   nanoseconds, or nil and why it failed
--   reference             an item that stays to the end, whatever it takes
--   rounds                at most (default 12)
--   grace                 rounds after which nobody leaves yet (default 0)
--   least                 so many items have their first sample even if time is up
--   late()                time is up
--   known(item)           its first sample takes no time, so that it takes part even then
--   group(item)           only items of one group compete (default: all)
--   leave(entry)          an entry has left: too slow, failed, or the end
--   progress(entry, round)
-- Returns the entries { item =, group =, ns = minimum, samples = {}, failed = why } of all that were sampled,
-- and the reference's drift: its median sample over its fastest.
function race.run(items, o)
  local all, running, last = {}, {}, nil
  for i, item in ipairs(items) do
    all[i] = { item = item, group = o.group and o.group(item) or 1, samples = {} }
    running[i] = all[i]
  end
  local late = o.late or function() return false end
  local function run(e, round)
    local ns, why = o.sample(e.item, round)
    last = e
    if not ns then
      e.failed, e.ns = why, nil
      return
    end
    e.samples[round] = ns
    e.ns = math.min(e.ns or ns, ns)
    if o.progress then o.progress(e, round) end
  end
  for round = 1, o.rounds or 12 do
    local order = round == 1 and running or shuffled(running, round, last)
    for i, e in ipairs(order) do
      local anyway = round == 1 and (i <= (o.least or 0) or o.known and o.known(e.item))
      if anyway or not late() then run(e, round) end
    end
    running = survivors(running, round - (o.grace or 0), o.reference, o.leave)
    if late() or #running < 2 then break end
  end
  local sampled, drift = {}, 1
  for _, e in ipairs(all) do
    if #e.samples > 0 or e.failed then sampled[#sampled + 1] = e end
    if e.item == o.reference and e.ns then drift = race.median(e.samples) / e.ns end
  end
  for _, e in ipairs(running) do if o.leave then o.leave(e) end end
  return sampled, drift
end

-- Entries by merit: the fastest first, but first of all the simplest of those within noise of it.
-- simpler(a, b): whether item a is simpler than item b; a total order.
function race.ranked(entries, simpler)
  local list = {}
  for _, e in ipairs(entries) do if e.ns then list[#list + 1] = e end end
  table.sort(list, function(a, b)
    if a.ns ~= b.ns then return a.ns < b.ns end
    return simpler(a.item, b.item)
  end)
  local winner = 1
  for i = 2, #list do
    if list[i].ns <= list[1].ns * (1 + race.noise) and simpler(list[i].item, list[winner].item) then winner = i end
  end
  if #list > 0 then table.insert(list, 1, table.remove(list, winner)) end
  return list
end

return race
