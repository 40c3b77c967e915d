-- list: what is said of ternary models on CPUs in public, one entry each. Entries are functions of facts (facts.lua);
-- they run nothing.
--
--   said                  the claim
--   bound(c)              what arithmetic allows
--   here(c)               what was measured, or is predicted and says so; else the command that would tell
--   verdict(c)
--   machine, source       where the bandwidth of a machine is from that is not here

local sizes = require "sizes"
local facts = require "claims.facts"
local entropy = require "claims.entropy"

local F16, Q4_0 = 16, 4.5       -- bits a weight
local TWO, FIVE = 2, 1.6        -- of trits: four in a byte, five in a byte
local STRUCTURED = 1.25         -- one zero in every four: 32 patterns
local GB = 1e9

-- Nominal bandwidths of the machines that claims name: GB/s, and where the figure is from.
local machines = {
  { name = "M2 Pro", gbps = 200, said = { 45, 55 },
    source = "Apple, as told by https://www.macrumors.com/2023/01/18/things-to-know-about-m2-pro-m2-max/" },
  { name = "i9-13900K", gbps = 89.6, said = { 28, 38 }, source = "Intel, as told by "
    .. "https://zaro.info/processor-memory-support/what-is-the-max-ram-speed-for-intel-core-i9-13900k" },
  { name = "Raspberry Pi 5", gbps = 17.1, said = { 5, 8 }, source = "LPDDR4X-4267 of 32 bits, "
    .. "https://education.raspberrypiaustralia.online/raspberry-pi-5-8gb-model" },
}

-- -- words -----------------------------------------------------------------------------------------------------

local function gb(bytes)
  if bytes < GB then return ("%.0f MB"):format(bytes / 1e6) end
  return ("%.2f GB"):format(bytes / GB)
end

local function missing(command) return ("not measured yet: `%s`"):format(command) end

local function tables(name) return "luajit bench/tables.lua --only " .. name end

-- What reading a model's weights once takes: trits at so many bits, and the matrix of logits.
local function read(c, size, bits, output) return sizes.read_per_token(c.shapes[size], bits, output) end

-- The same of the whole model in memory.
local function held(c, size, bits, embedding)
  local s = c.shapes[size]
  return (sizes.ternary(s) * bits + sizes.embedding(s) * embedding) / 8
end

local function dense(c, size, bits) return held(c, size, bits, bits) end

local function decode(c, wanted)
  wanted.decode = true
  return facts.row(c.rows, wanted)
end

local function speed(r)
  return ("%.4g t/s with %d thread%s"):format(r.ts, r.threads, r.threads == 1 and "" or "s")
end

local list = {}

local function claim(entry) list[#list + 1] = entry end

-- -- bits ------------------------------------------------------------------------------------------------------

claim {
  said = "30 to 50 % of the weights are 0, and a weight holds log2 3 = 1.58 bits",
  bound = function()
    local zeros = entropy.absmean()
    return ("%.3f bits at 30 %% zeros, %.3f at a third, %.3f at 42 %%, %.3f at 50 %%; rounding Gaussian weights by "
      .. "their mean magnitude gives %.0f %% zeros"):format(entropy.bits(0.3), sizes.trit, entropy.bits(0.42),
      entropy.bits(0.5), zeros * 100)
  end,
  here = function(c)
    if not c.trits then return missing("tritune inspect tests/model/tiny-tales-i2_s.gguf") end
    return ("the model built in: %.1f %% zeros, %.4f bits a weight (`tritune inspect`)"):format(c.trits.zeros * 100,
      c.trits.entropy)
  end,
  verdict = function()
    return ("true; coding by frequency could save %.0f %% at most"):format((1 - entropy.bits(0.5) / sizes.trit) * 100)
  end,
}

claim {
  said = "11 times smaller",
  bound = function(c)
    return ("of 16 bits %.1f times at log2 3, %.1f at five trits a byte, %.1f at four; with an F16 embedding and five "
      .. "trits a byte the 3B is %.1f times smaller than in F16, 2B-4T %.1f times"):format(16 / sizes.trit, 16 / FIVE,
      16 / TWO, dense(c, "3b", F16) / held(c, "3b", FIVE, F16), dense(c, "2b4t", F16) / held(c, "2b4t", FIVE, F16))
  end,
  here = function(c)
    local r = decode(c, { size = "3b", id = "sizes-3b" }) or decode(c, { size = "3b", label = "ternary" })
    if not r then return missing(tables "sizes") end
    return ("the 3B as it runs: %s, %.1f times smaller than F16"):format(gb(r.bytes), dense(c, "3b", F16) / r.bytes)
  end,
  verdict = function()
    return ("impossible against 16 bits (%.1f at most); true only against 32"):format(16 / sizes.trit)
  end,
}

-- -- arithmetic --------------------------------------------------------------------------------------------------

local function spread(loops, key)
  local least, most = math.huge, 0
  for _, row in ipairs(loops) do least, most = math.min(least, row[key]), math.max(most, row[key]) end
  return least, most
end

local function sum(loops, key)
  local n = 0
  for _, row in ipairs(loops) do n = n + row[key] end
  return n
end

claim {
  said = "8 weights are looked up at a time",
  bound = function(c)
    return ("8 weights have 3^8 = %d sums of activations, %.1f kB for every 8 columns; an instruction looks up one of "
      .. "at most %d entries in a register, so of 3 weights, or of 4 with a sign"):format(3 ^ 8, 2 * 3 ^ 8 / 1e3,
      c.entries)
  end,
  here = function(c)
    local names, groups = {}, {}
    for code in pairs(c.codes) do names[#names + 1] = code end
    table.sort(names)
    for _, code in ipairs(names) do
      groups[#groups + 1] = ("%s: %d weights, %d entries"):format(code, c.codes[code].trits, c.codes[code].used)
    end
    return "tables of the lut kernels: " .. table.concat(groups, "; ")
  end,
  verdict = function()
    return "true only of tables in cache memory; in registers it is 2 to 4"
  end,
}

claim {
  said = "no floating point in the hot path",
  bound = function(c)
    local head = sizes.output(c.shapes["3b"]) * F16 / 8
    return ("the products of trits need none; the head does, which is %.0f %% of the bytes of the 3B, and norms, "
      .. "attention and sampling do"):format(100 * head / read(c, "3b", FIVE, F16))
  end,
  here = function(c)
    local count = #c.loops + #c.lookups
    if count == 0 then return missing "luajit bench/predict.lua --json" end
    return ("%g instructions of floating point in the hot loops of %d kernels, the default ones of every ISA "
      .. "(`bench/predict.lua`)"):format(sum(c.loops, "floats") + sum(c.lookups, "floats"), count)
  end,
  verdict = function() return "true only of the ternary products" end,
}

claim {
  said = "4096 multiplications are saved",
  bound = function()
    return ("a row of 4096 columns: 4096 products, which are %d instructions that multiply and add 64 bytes; or %d "
      .. "lookups of 3 weights, %d instructions of 32, with shifts and additions beside"):format(4096 / 64,
      math.ceil(4096 / 3), math.ceil(4096 / 3 / 32))
  end,
  here = function(c)
    if #c.loops == 0 or #c.lookups == 0 then return missing "luajit bench/predict.lua --json" end
    local least, most = spread(c.loops, "alu")
    local few, many = spread(c.lookups, "alu")
    local p, q = spread(c.loops, "products")
    return ("per %d weights, in vectors: kernels that multiply %g to %g operations, %g to %g of them products; kernels "
      .. "that look up %g to %g, products none"):format(c.loops[1].weights, least, most, p, q, few, many)
  end,
  verdict = function(c)
    if #c.lookups == 0 or #c.loops == 0 then return "true in number; whether in time is not measured yet" end
    local most = select(2, spread(c.lookups, "products"))
    return most == 0 and "true in number, not in work: as many vector operations either way" or
      "false: lookups multiply, too"
  end,
}

-- -- the 3B on machines ----------------------------------------------------------------------------------------

local others = { ["M2 Pro"] = { "Apple M2 Max", 400 }, ["Raspberry Pi 5"] = { "Raspberry Pi 5", 17.1 } }

local function elsewhere(c, machine)
  local other = others[machine.name]
  local row, file = nil, nil
  if other then row, file = facts.fastest(c.published, other[1], "3b") end
  if not row then return "" end
  return ("; published: %s, %s, %g t/s"):format(other[1], file.program, row.ts)
end

for _, machine in ipairs(machines) do
  local command = ("tritune roofline --synth 3b --bandwidth %g"):format(machine.gbps)
  local function ceiling(c, bits) return machine.gbps * GB / read(c, "3b", bits, F16) end
  claim {
    said = ("the 3B decodes %d to %d tokens/s on %s %s"):format(machine.said[1], machine.said[2],
      machine.name:find("^[Ri]") and "a" .. (machine.name:find("^i") and "n" or "") or "an", machine.name),
    machine = machine.name, source = ("%g GB/s, %s"):format(machine.gbps, machine.source),
    bound = function(c)
      return ("%g GB/s: at most %.0f t/s at two bits and an F16 head read whole, %.0f at 1.6"):format(machine.gbps,
        ceiling(c, TWO), ceiling(c, FIVE))
    end,
    here = function(c)
      local ts = c.ceiling("3b", machine.gbps)
      local said = ts and ("predicted, as a ceiling: %.0f t/s (`%s`)"):format(ts, command) or missing(command)
      return said .. elsewhere(c, machine)
    end,
    verdict = function(c)
      local of = ceiling(c, TWO)
      if machine.said[2] > of then return ("impossible: at most %.0f"):format(of) end
      return ("possible, and low: %.0f to %.0f %% of what memory allows"):format(100 * machine.said[1] / of,
        100 * machine.said[2] / of)
    end,
  }
end

claim {
  said = "the 3B takes 400 to 500 MB",
  bound = function(c)
    return ("its trits alone are %s at log2 3 bits, %s at 1.6; the embedding is %s in F16"):format(
      gb(held(c, "3b", sizes.trit, 0)), gb(held(c, "3b", FIVE, 0)), gb(held(c, "3b", 0, F16)))
  end,
  here = function(c)
    local r = decode(c, { size = "3b", id = "sizes-3b" })
    return r and ("%s resident"):format(gb(r.rss)) or missing(tables "sizes")
  end,
  verdict = function(c)
    return ("impossible: more than %s; so much are the trits of 2B-4T (%s)"):format(gb(held(c, "3b", sizes.trit, 0)),
      gb(held(c, "2b4t", sizes.trit, 0)))
  end,
}

-- Rows of the 3B with dense weights, beside ternary ones.
local function against(c, label)
  local r, ternary = decode(c, { id = "dense", label = label }), decode(c, { id = "dense", label = "ternary" })
  if not r or not ternary then return missing(tables "dense") end
  return ("%s %s, %s; ternary %s, %s"):format(label, speed(r), gb(r.rss), speed(ternary), gb(ternary.rss))
end

claim {
  said = "the same model in F16 decodes 10 to 15 tokens/s and takes 6 GB",
  bound = function(c)
    local bytes = dense(c, "3b", F16)
    return ("%s, so 10 to 15 t/s read %.0f to %.0f GB/s"):format(gb(bytes), 10 * bytes / GB, 15 * bytes / GB)
  end,
  here = function(c) return against(c, "F16") end,
  verdict = function(c)
    local bytes = dense(c, "3b", F16)
    local able = {}
    for _, m in ipairs(machines) do able[#able + 1] = ("%s %.1f"):format(m.name, m.gbps * GB / bytes) end
    return "true only where memory is so fast: at most " .. table.concat(able, ", ")
  end,
}

claim {
  said = "in Q4_0 it takes 1.8 GB, and is slower since that multiplies",
  bound = function(c)
    local q4, two = dense(c, "3b", Q4_0), held(c, "3b", TWO, F16)
    return ("%s; ternary at two bits, head in F16: %s, so memory alone makes Q4_0 %.1f times slower"):format(gb(q4),
      gb(two), q4 / two)
  end,
  here = function(c) return against(c, "Q4_0") end,
  verdict = function() return "size true, slower true; the reason is bytes, not multiplications" end,
}

-- -- large ones ------------------------------------------------------------------------------------------------

claim {
  said = "100B runs in 12 to 15 GB, against 200 GB",
  bound = function(c)
    local weights = sizes.ternary(c.shapes["100b"])
    local function needs(bytes)
      return ("%g GB are %.2f bits a weight, which takes %.0f %% zeros"):format(bytes / GB, 8 * bytes / weights,
        100 * entropy.zeros(8 * bytes / weights))
    end
    return ("F16 %s; %s at log2 3 bits, %s at 1.6; %s, %s"):format(gb(dense(c, "100b", F16)),
      gb(held(c, "100b", sizes.trit, 0)), gb(held(c, "100b", FIVE, 0)), needs(15 * GB), needs(12 * GB))
  end,
  here = function(c)
    local r = decode(c, { size = "100b" })
    return r and ("%s, %s resident"):format(speed(r), gb(r.rss)) or missing(tables "sizes")
  end,
  verdict = function(c)
    return ("impossible: %s at least. %s only if trained with one zero in every four weights"):format(
      gb(held(c, "100b", sizes.trit, 0)), gb(held(c, "100b", STRUCTURED, 0)))
  end,
}

claim {
  said = "100B at the hardware cost of a 7B",
  bound = function(c)
    local large = read(c, "100b", FIVE, F16)
    return ("a token reads %s at 1.6 bits; of a 7B %s in F16, %s in Q4_0, %s ternary"):format(gb(large),
      gb(dense(c, "7b", F16)), gb(dense(c, "7b", Q4_0)), gb(read(c, "7b", FIVE, F16)))
  end,
  here = function(c)
    local large, small = decode(c, { size = "100b" }), decode(c, { size = "7b" })
    if not large or not small then return missing(tables "sizes") end
    return ("100B %s, 7B ternary %s"):format(speed(large), speed(small))
  end,
  verdict = function(c)
    local large = read(c, "100b", FIVE, F16)
    return ("false: %.1f times the bytes of a 7B in F16, %.0f times those of a ternary 7B"):format(
      large / dense(c, "7b", F16), large / read(c, "7b", FIVE, F16))
  end,
}

-- Decoding with the fewest and with the most threads that were tried; nil if there were not two.
local function by_threads(c)
  local least, most = math.huge, 0
  for _, r in ipairs(c.rows) do
    if r.id == "threads" then least, most = math.min(least, r.threads), math.max(most, r.threads) end
  end
  local few, all = decode(c, { id = "threads", threads = least }), decode(c, { id = "threads", threads = most })
  if few and all and least < most then return few, all end
end

local xeons = "two Intel Xeon E5-2682 v4"

claim {
  said = "it scales to 64 cores",
  bound = function(c)
    return ("decoding ends at the bandwidth over %s a token (2B-4T, two bits, F16 head), whatever the cores; prompts "
      .. "scale with them"):format(gb(read(c, "2b4t", TWO, F16)))
  end,
  here = function(c)
    local least, most = by_threads(c)
    local said = least and ("%s, %s"):format(speed(least), speed(most)) or missing(tables "threads")
    local few, all = facts.fastest(c.published, xeons, "2b4t", 8), facts.fastest(c.published, xeons, "2b4t")
    return said .. (few and ("; published: %s, 2B-4T, %g t/s with %d threads, %g with %d"):format(xeons, few.ts,
      few.threads, all.ts, all.threads) or "")
  end,
  verdict = function() return "true only if memory scales, too: sockets and channels add to it, cores do not" end,
}

claim {
  said = "an existing model cannot be converted",
  bound = function()
    local _, lost = entropy.absmean()
    return ("rounding Gaussian weights to trits loses %.0f %% of their power with the best scale"):format(100 * lost)
  end,
  here = function() return "not measured: no dense model is at hand that is known in both forms" end,
  verdict = function()
    return "true of rounding alone; training on converts: HF1BitLLM/Llama3-8B-1.58-100B-tokens came of Llama 3 8B"
  end,
}

return list
