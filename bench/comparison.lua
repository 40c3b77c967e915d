-- comparison: what the samples of two sides, taken in the same rounds, say of each other: medians, spreads, the ratio
-- and its bounds; and what makes two models different. Runs and prints nothing.

local ratio_of = require "ratio"
local figures = require "tables.figures"

local comparison = {}

local few_rounds = 5   -- with fewer the bounds are no 95 %
local same_size = 0.03 -- a difference of parameters that is none

-- { samples, median, spread }: spread: greatest less least, over the median.
local function summary(samples)
  local f = figures.of(samples)
  return { samples = samples, median = f.median, spread = 2 * figures.noise(f) }
end

local function first(list, count)
  local out = {}
  for i = 1, count do out[i] = list[i] end
  return out
end

-- ours, theirs: tokens a second by round, as many as both have. nil: there is no round that both have.
-- ratio: above 1 where ours is faster.
function comparison.of(ours, theirs)
  local rounds = math.min(#ours, #theirs)
  if rounds == 0 then return nil end
  local a, b = first(ours, rounds), first(theirs, rounds)
  local r = ratio_of(a, b)
  r.rounds, r.ours, r.theirs = rounds, summary(a), summary(b)
  r.verdict = rounds < few_rounds and "too few rounds to tell" or r.low > 1 and "faster" or r.high < 1 and "slower" or
    "no difference"
  return r
end

local function differs(ours, theirs) return theirs and ours and math.abs(theirs / ours - 1) > same_size end

local function sizes_of(ours, theirs, unit)
  return ("%.0f %s, ours %.0f %s (%+.1f %%)"):format(theirs / 1e6, unit, ours / 1e6, unit, (theirs / ours - 1) * 100)
end

-- Why two models can hardly be compared: a list of sentences, empty if nothing speaks against it. ours, theirs:
-- { params, bytes } as far as they say.
function comparison.warnings(name, ours, theirs)
  local list = {}
  if not theirs.params then
    list[#list + 1] = name .. " does not say how many parameters its model has: see to it that the shapes are equal"
  elseif differs(ours.params, theirs.params) then
    list[#list + 1] = ("%s runs a model of %s: the shapes are not equal, or one counts an embedding twice"):format(name,
      sizes_of(ours.params, theirs.params, "M parameters"))
  end
  if differs(ours.bytes, theirs.bytes) then
    list[#list + 1] = ("%s holds its model in %s: other encodings"):format(name,
      sizes_of(ours.bytes, theirs.bytes, "MB"))
  end
  return list
end

return comparison
