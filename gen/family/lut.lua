-- lut: a group of trits indexes a table of its exact activation sums, made once per token. What differs
-- between codes is one row of `codes`; which of them an ISA offers follows from its table words.
local lut = { name = "lut", prepare = "lut_prepare.c.lt" }

-- trits of a group, groups a step, planes of bytes a row and step (the last of signs, if planes are more than
-- the code's), fields of an index in a byte, bits of an index, entries needed. three_of_four: it holds only groups of
-- four trits of which exactly one is 0 (1.25 bits a trit)
lut.codes = {
  l2 = { code = "nibble", trits = 2, groups = 2, planes = 1, code_planes = 1, fields = 2, index_bits = 4, used = 9 },
  l3 = { code = "nibble and sign", trits = 3, groups = 8, planes = 5, code_planes = 4, fields = 2, index_bits = 4,
    used = 14, sign = true },
  l4 = { code = "signed byte", trits = 4, groups = 1, planes = 1, code_planes = 1, fields = 1, index_bits = 8,
    used = 41, sign = true },
  t3 = { code = "five bits", trits = 3, groups = 3, planes = 2, code_planes = 2, fields = 1, index_bits = 5, used = 27,
    wide = true },
  w3 = { code = "word", trits = 3, groups = 3, planes = 2, code_planes = 2, fields = 3, index_bits = 5, used = 27,
    word = true },
  s4 = { code = "nibble and sign", trits = 4, groups = 8, planes = 5, code_planes = 4, fields = 2, index_bits = 4,
    used = 16, sign = true, three_of_four = true },
  w4 = { code = "five words", trits = 4, groups = 16, planes = 10, code_planes = 10, fields = 3, index_bits = 5,
    used = 32, word = true, three_of_four = true },
}

-- c the code; r rows of a layout tile; m rows at once; u steps unrolled; p cache lines fetched ahead, h the cache level
-- they are fetched to; g columns that share a scale (0: the sums stay integers)
lut.order = { "m", "u", "p", "h", "g" }
lut.unsaid = { g = 0 }
lut.space = {
  c = { "l2", "l3", "l4", "t3", "w3", "s4", "w4" },
  r = { 32, 64, 128, 256 },
  m = { 16, 32, 64, 128, 256 },
  u = { 1, 2 },
  p = { 0, 16, 32, 64, 128, 256 },
  h = { 1, 2 },
  g = { 0, 32, 64, 128, 256 },
}
lut.fine = { "u", "p", "h" }

local templates = { w3 = "lut_word.c.lt", w4 = "lut_words.c.lt" }

function lut.template(p) return templates[p.c] or "lut_byte.c.lt" end

function lut.words_of(p)
  if lut.codes[p.c].word then
    local words = { "load", "zero", "shr", "word_table", "word_lookup", "add16", "word_spill" }
    for _, w in ipairs(p.c == "w4" and { "word_join", "opaque" } or {}) do words[#words + 1] = w end
    return words
  end
  local words = { "load", "zero", "mask", "and", "low16", "high16", "add16", "spill" }
  local tables = lut.codes[p.c].wide and { "wide_table", "wide_lookup", "tops" } or { "table", "lookup", "shr" }
  for _, w in ipairs(tables) do words[#words + 1] = w end
  if lut.codes[p.c].sign then
    for _, w in ipairs { "xor", "sub8", "sign" } do words[#words + 1] = w end
  end
  local scaling = p.g > 0 and { "fset", "fload", "fstore", "fint", "fmul", "fma" } or {}
  for _, w in ipairs(scaling) do words[#words + 1] = w end
  return words
end

function lut.pack(facts) return facts.three_of_four and "lut_structured_pack.c.lt" or "lut_pack.c.lt" end

function lut.layout(p) return p.c .. "r" .. p.r end

function lut.layout_facts(text)
  local c, r = text:match("^(%a%d)r(%d+)$")
  local code = c and lut.codes[c]
  if not code then return nil end
  r = tonumber(r)
  local facts = { r = r, rows = r, kstep = code.trits * code.groups, bytes = code.planes * r }
  for key, value in pairs(code) do facts[key] = value end
  return facts
end

local function entries(p, isa)
  local code = lut.codes[p.c]
  if code.word then return isa.word_entries end
  return code.wide and isa.wide_entries or not code.wide and isa.table_entries or nil
end

-- Steps whose sums an int16 holds.
local function flush(code)
  local group = 127 * (code.three_of_four and 3 or code.trits)
  local most = code.groups * ((code.sign and 1 or 0) + group)
  if code.code == "word" then most = group end     -- one accumulator for each index of a word
  return math.floor(32767 / most)
end

function lut.refuse(p, isa)
  local code = lut.codes[p.c]
  local lanes = math.floor(isa.bits / (code.word and 16 or 8))
  local have = entries(p, isa)
  if code.three_of_four and p.g > 0 then return "scales of whole rows only" end
  if not have or have < code.used then return "table too short" end
  if have >= 64 and code.index_bits == 4 then return "wastes the table" end
  if p.m % lanes ~= 0 or p.r % p.m ~= 0 then return "rows do not divide" end
  if p.g % (code.trits * code.groups) ~= 0 then return "a group is no whole number of steps" end
  if p.g > flush(code) * code.trits * code.groups then return "int16 overflow" end
  if p.g > 0 and p.m % isa.flanes ~= 0 then return "rows do not fill a vector of floats" end
  local vectors = p.m / lanes
  -- sums, and codes read again
  local held = p.c == "w4" and 2 or (code.word or code.sign) and 3 or code.wide and 4 or 2
  local tables = code.wide and 4 or 2 * code.fields
  if vectors * held + tables + 2 > isa.regs then return "registers" end
  if p.p == 0 and p.h ~= 1 then return "nothing is fetched" end
  if p.g > 0 and (p.u > 1 or p.p ~= 0 and (p.p ~= 64 or p.h ~= 2)) then return "scaling hides what loads wait for" end
  if p.u * p.m * code.planes > (p.c == "w4" and 2560 or 512) then return "loop body too long" end
  return nil
end

-- Trit d of entry i: bit 4 says whether the first that is not 0 is negative, bits 3..2 where the 0 is, bits 1 and 0
-- whether the second and the third of the others differ from the first.
local function structured_digit(_, i, d)
  local zero, first = math.floor(i / 4) % 4, i < 16 and 1 or -1
  if d == zero then return 0 end
  local other = d < zero and d or d - 1
  local differs = other > 0 and math.floor(i / 2 ^ (2 - other)) % 2 == 1
  return differs and -first or first
end

-- The same of balanced ternary: entry i stands for `used - 1` / 2 less than i, or, where signs are apart, for i itself.
local function balanced_digit(code, i, d)
  local value = math.floor(i + (code.sign and (3 ^ code.trits - 1) / 2 or 0))
  return math.floor(value / 3 ^ (code.trits - 1 - d)) % 3 - 1
end

-- The digits of each entry, as C initialisers.
local function digits(code, count)
  local rows = {}
  for d = 0, code.trits - 1 do
    local list = {}
    for i = 0, count - 1 do
      local digit = code.three_of_four and structured_digit or balanced_digit
      list[#list + 1] = ("%d"):format(i < code.used and digit(code, i, d) or 0)
    end
    rows[d] = table.concat(list, ", ")
  end
  return rows
end

function lut.bind(p, isa)
  local code = lut.codes[p.c]
  local env = { B = math.floor(isa.bits / 8), flush = flush(code), entries = entries(p, isa) }
  for key, value in pairs(lut.layout_facts(lut.layout(p))) do env[key] = value end
  env.sign, env.word, env.wide = code.sign or false, code.word or false, code.wide or false
  env.three_of_four = code.three_of_four or false
  env.table_bytes = 2 * env.entries * code.groups
  env.digits = digits(code, env.entries)
  local terms = {}
  for d = 0, code.trits - 1 do terms[#terms + 1] = ("digit%d[i] * q[j%s]"):format(d, d > 0 and " + " .. d or "") end
  env.terms = table.concat(terms, " + ")
  env.record = { form = ("lut%d%s"):format(env.entries, p.c), table_bytes = env.table_bytes, tokens = 1,
    kmax = 8388480, kind = p.g > 0 and "grouped" or "matmul", group = p.g }
  return env
end

-- Codes for weights of which exactly one in four is 0, the fastest first.
lut.three_of_four = { "w4", "s4" }

-- The default is the code that uses the ISA's tables best, unless one is given, and nothing where it has none, or where
-- there are groups: mad's run there.
function lut.defaults(isa, g, code)
  local c = code or (isa.table_entries or 0) >= 64 and "l4" or isa.wide_entries and "t3" or isa.table_entries and "l2"
    or isa.word_entries and "w3"
  if not lut.codes[c] or g > 0 then return {} end
  local lanes = math.floor(isa.bits / (lut.codes[c].word and 16 or 8))
  local m, p = 2 * lanes, 64
  if c == "w4" then m, p = 4 * lanes, 128 end
  return { { c = c, r = math.max(32, m), m = m, u = 1, p = p, h = 2, g = 0 } }
end

return lut
