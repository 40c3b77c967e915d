-- entropy: bits of ternary weights by their share of zeros, and what rounding weights to trits loses. Arithmetic only.

local entropy = {}

local function log2(x) return math.log(x) / math.log(2) end

-- Bits a weight of which so many are 0, and as many -1 as +1.
function entropy.bits(zeros)
  local others = 1 - zeros
  return (zeros > 0 and -zeros * log2(zeros) or 0) + (others > 0 and -others * log2(others / 2) or 0)
end

-- The share of zeros from which on weights take no more than `bits`, at least a third; bits: from 0 to log2 3.
function entropy.zeros(bits)
  local low, high = 1 / 3, 1
  for _ = 1, 60 do
    local middle = (low + high) / 2
    if entropy.bits(middle) > bits then low = middle else high = middle end
  end
  return high
end

-- Sum over a Gaussian of variance 1 by the midpoint rule.
local function mean(f)
  local sum, steps, most = 0, 20000, 8
  for i = 1, steps do
    local x = ((i - 0.5) / steps * 2 - 1) * most
    sum = sum + f(x) * math.exp(-x * x / 2)
  end
  return sum * 2 * most / steps / math.sqrt(2 * math.pi)
end

-- Gaussian weights rounded to trits by the mean of their magnitudes, as BitNet b1.58 does: the share that is 0, and the
-- share of their power that is lost with the scale that loses least.
function entropy.absmean()
  local half = math.sqrt(2 / math.pi) / 2 -- of the mean magnitude
  local zeros = mean(function(x) return math.abs(x) < half and 1 or 0 end)
  local along = mean(function(x) return math.abs(x) < half and 0 or math.abs(x) end)
  return zeros, 1 - along * along / (1 - zeros)
end

return entropy
