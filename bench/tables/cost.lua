-- cost: what a run of `tritune bench` takes, roughly, before anybody ran it. Corrected by what runs took (collect.lua),
-- so that only proportions matter here: those of a machine of two cores that reads 30 GB/s.

local cost = {}

local START, LOAD = 0.6, 0.6             -- seconds of a process; of making and packing 10^9 weights
local PROMPT, DECODE = 0.0022, 0.0105    -- seconds of a token by 10^9 weights, with all threads

-- 10^9 weights of a size by its name: "2b4t" is 2, "125m" is 0.125; of names without a number 1.
function cost.weights(size)
  local number, unit = size:match("(%d+%.?%d*)([mb])")
  return number and tonumber(number) / (unit == "m" and 1000 or 1) or 1
end

local function sum(list, of)
  local total = 0
  for _, x in ipairs(list) do total = total + of(x) end
  return total
end

-- Seconds. t: size; prompt, gen, depth, threads: lists as bench has them; repetitions; cores; slow: how many times
-- longer than usual a token takes. Every row is run once more to warm up, and what lies before a depth is fed anew.
function cost.bench(t)
  local weights, slow = cost.weights(t.size), t.slow or 1
  local depths = t.depth or { 0 }
  local prompt = sum(t.prompt or {}, tonumber)
  local before = sum(depths, tonumber) * (t.prompt and t.gen and 2 or 1)
  local one = #depths * (prompt * PROMPT + sum(t.gen or {}, tonumber) * DECODE) + before * PROMPT
  local teams = t.threads and sum(t.threads, function(n) return t.cores / n end) or 1
  return START + weights * (LOAD + (t.repetitions + 1) * one * teams * slow)
end

return cost
