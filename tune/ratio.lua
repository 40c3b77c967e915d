-- ratio: how the times of two sides that were measured in the same rounds compare, and between which bounds. Knows
-- neither kernels nor clocks.

local random_of = require "random"

local resamples, tail = 2000, 0.025

local function median(list)
  table.sort(list)
  local n = #list
  return (list[math.ceil(n / 2)] + list[math.floor(n / 2) + 1]) / 2
end

-- a, b: times by round. { ratio, low, high }: the median over rounds of a / b, so that drift of the machine cancels,
-- and its 95 % bounds by bootstrap over rounds, always the same for the same times.
return function(a, b)
  local by_round, random, medians = {}, random_of(31), {}
  for i = 1, #a do by_round[i] = a[i] / b[i] end
  for i = 1, resamples do
    local drawn = {}
    for j = 1, #a do drawn[j] = by_round[random(#a)] end
    medians[i] = median(drawn)
  end
  table.sort(medians)
  return { ratio = median(by_round), low = medians[math.floor(tail * resamples) + 1],
    high = medians[math.ceil((1 - tail) * resamples)] }
end
