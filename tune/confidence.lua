-- confidence: how sure two lists of samples are about which minimum is lower. Knows neither kernels nor clocks.

local random_of = require "random"

local resamples = 2000

local function resampled_minimum(samples, random)
  local ns = math.huge
  for _ = 1, #samples do ns = math.min(ns, samples[random(#samples)]) end
  return ns
end

-- The share of bootstrap resamples in which a's minimum is the lower one (equal ones count half), always the same
-- for the same samples; nil where one list is empty.
return function(a, b)
  if #a == 0 or #b == 0 then return nil end
  local random, ahead = random_of(20261), 0
  for _ = 1, resamples do
    local x, y = resampled_minimum(a, random), resampled_minimum(b, random)
    ahead = ahead + (x < y and 1 or x == y and 0.5 or 0)
  end
  return ahead / resamples
end
