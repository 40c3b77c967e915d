-- mad: unpack codes, multiply and add bytes. The layouts do not depend on the vector length. Quad layouts feed a
-- broadcast of four activations and need no sum across lanes; in row layouts a row is one run of bytes, so that
-- single rows can be picked, at the price of sums across lanes.
local mad = { name = "mad" }

-- planes of columns in a byte, columns of a plane side by side; for codes whose fifth plane has bytes of its own, the
-- field of two bits it has there. q2: two bits a trit in quads; f5, n5, b5: five trits a byte (1.6 bits), split for
-- tables of 64, split for tables of 16, and in base 3; r2: two bits a trit in rows
mad.codes = {
  q2 = { planes = 4, width = 4 },
  f5 = { planes = 5, width = 4, last = 3 },
  n5 = { planes = 5, width = 4, last = 0 },
  b5 = { planes = 5, width = 4 },
  r2 = { planes = 4, width = 64 },
}

-- n5. A byte's low nibble and, at 16, its top bit are a number below 27, the codes (trit + 1) of planes 0..2 with the
-- first least significant; its bits 4..6 are planes 3 and 4, a number below 8. Where those would be 8 the top bit is
-- set, the low nibble 11 or more, and planes 0..2, two bits each, are the exclusive or of two entries: one of eight,
-- by bits 4..6, and one of five, by the low nibble. (Found by search: all 27 occur.)
local eight, five = { 42, 11, 18, 38, 26, 22, 17, 6 }, { 2, 48, 16, 6, 3 }

local function fields(number) return number % 3 + 4 * (math.floor(number / 3) % 3) + 16 * math.floor(number / 9) end

local function entries(from, to, entry)
  local list = {}
  for i = from, to do list[#list + 1] = ("%d"):format(entry(i)) end
  return table.concat(list, ", ")
end

local nibbles = {
  eight = table.concat(eight, ", "), five = table.concat(five, ", "),
  low = entries(0, 15, fields),
  high = entries(16, 31, function(i) return i < 27 and fields(i) or 128 + five[i - 26] end),
  escape = entries(16, 31, function(i) return i < 27 and 0 or 8 end),
  first = entries(0, 15, function(i) return i < 8 and i % 3 * 64 or eight[i - 7] end),
  last = entries(0, 15, function(i) return i < 8 and math.floor(i / 3) or 2 end),
}

function mad.template(p)
  return p.g > 0 and "mad_grouped.c.lt" or mad.codes[p.c].width == 64 and "mad_row.c.lt" or "mad.c.lt"
end

function mad.pack(facts) return facts.width == 64 and "mad_row_pack.c.lt" or "mad_pack.c.lt" end

-- c the code; r rows of a layout tile; m rows at once; n tokens; a accumulators, each a scale of planes (scaling a
-- plane by leaving it where it is saves its shift; of b5, 2 of bytes and their triples); u steps unrolled; p cache
-- lines fetched ahead, h the cache level they are fetched to; g columns that share a scale (0: the sums stay integers)
mad.order = { "m", "n", "a", "u", "p", "h", "g" }
mad.unsaid = { g = 0 }
mad.space = {
  c = { "q2", "f5", "n5", "b5", "r2" },
  r = { 1, 8, 16, 32, 64 },
  m = { 1, 2, 4, 8, 16, 32, 64 },
  n = { 1, 2, 3, 4, 5, 6, 8, 12 },
  a = { 1, 2, 4 },
  u = { 1, 2, 4 },
  p = { 0, 16, 32, 64, 128, 256 },
  h = { 1, 2 },
  g = { 0, 32, 64, 128, 256 },
}
-- parameters that only shift when data arrives: searched last
mad.fine = { "u", "p", "h" }
-- parameters of which every combination is a way to unpack
mad.together = { "c", "a" }

-- What measures how much a CPU multiplies at most, for so many tokens.
mad.peak = { template = "mad_peak.c.lt", tokens = 1,
  words = { "quad", "mask", "dot", "opaque", "sum_add", "sum_store" } }
local function is_row(p) return mad.codes[p.c].width == 64 end

-- Whether whole bytes are multiplied, instead of codes taken out of them.
local function whole_bytes(p) return p.c == "b5" and p.a == 2 end

local words = {
  quads = { "quad", "sum_less", "sum_store" },
  rows = { "sum_across" },
  fields = { "mask", "and", "shr", "sum_add", "sum_shr" },
  digits = { "base3", "trit", "triple" },
  bytes = { "triple", "sum_thirds" },
  f5 = { "five_first", "five_last" },
  n5 = { "xor", "nibbles", "nibble" },
  groups = { "fzero", "fset", "fload", "fstore", "fint", "fmul", "fma" },
}

function mad.words_of(p)
  local list = { "load", "dot" }
  local unpack_words = p.c ~= "b5" and "fields" or whole_bytes(p) and "bytes" or "digits"
  for _, set in ipairs { is_row(p) and "rows" or "quads", unpack_words, p.c, p.g > 0 and "groups" or nil } do
    for _, word in ipairs(words[set] or {}) do list[#list + 1] = word end
  end
  return list
end

-- Vectors of a row (of all rows at once, in quads) in a step.
local function pieces(p, isa)
  return math.max(1, math.floor(8 * mad.codes[p.c].width / isa.bits))
end

-- How many dot products a step adds to a lane of the fullest accumulator, in units of its lightest plane.
local function load_of(p, isa)
  local planes = mad.codes[p.c].planes
  local fullest = p.a == 1 and planes or p.a == 2 and 2 or planes - 3
  return fullest * 4 ^ (p.a - 1) * pieces(p, isa)
end

-- Steps after which the int16 sums must be widened: a dot product adds isa.dot16 at most, times its scale.
local function flush(isa, p)
  return math.floor(32767 / (isa.dot16 * load_of(p, isa)))
end

function mad.layout(p) return p.c .. "r" .. p.r end

-- The byte that five codes (trit + 1) make, code[1] of plane 0.
local five_codes = {
  f5 = function(code)
    local four = code[1] + 3 * code[2] + 9 * code[3] + 27 * code[4]
    return four < 64 and four + 64 * code[5] or 192 + 3 * (four - 64) + code[5]
  end,
  n5 = function(code)
    local three, two = code[1] + 3 * code[2] + 9 * code[3], code[4] + 3 * code[5]
    if two < 8 then return three % 16 + 16 * two + 128 * math.floor(three / 16) end
    for i = 39, 0, -1 do -- where several make the same, the greatest byte
      local a, b, pair = eight[math.floor(i / 5) + 1], five[i % 5 + 1], 0
      for bit = 0, 5 do pair = pair + 2 ^ bit * ((math.floor(a / 2 ^ bit) + math.floor(b / 2 ^ bit)) % 2) end
      if pair == code[1] + 4 * code[2] + 16 * code[3] then return 139 + 16 * math.floor(i / 5) + i % 5 end
    end
  end,
  b5 = function(code)
    local number = 0
    for p = 1, 5 do number = 3 * number + code[p] end
    return math.floor((256 * number + 242) / 243)
  end,
}

local function c_list(first, last, entry)
  local lines, line = {}, {}
  for i = first, last do
    line[#line + 1] = ("%d"):format(entry(i))
    if #line == 20 or i == last then lines[#lines + 1], line = table.concat(line, ", "), {} end
  end
  return table.concat(lines, ",\n")
end

-- Both ways between numbers in base 3, the code of plane 0 their last digit, and bytes; a byte that no codes make
-- counts as zeros.
local function five_tables(c)
  local byte, codes = {}, {}
  for number = 0, 242 do
    local code, bits = {}, 0
    for p = 1, 5 do
      code[p] = math.floor(number / 3 ^ (p - 1)) % 3
      bits = bits + code[p] * 4 ^ (p - 1)
    end
    byte[number] = five_codes[c](code)
    codes[byte[number]] = bits
  end
  return c_list(0, 242, function(i) return byte[i] end), c_list(0, 255, function(i) return codes[i] or 341 end)
end

function mad.layout_facts(text)
  local c, r = text:match("^(%a%d)r(%d+)$")
  local code = c and mad.codes[c]
  r = tonumber(r)
  if not code or (code.width == 64) ~= (r == 1) then return nil end
  local facts = { c = c, r = r, rows = r, planes = code.planes, width = code.width, kstep = code.width * code.planes,
    bytes = code.width * r }
  if code.planes == 5 then facts.bytes_of, facts.codes_of = five_tables(c) end
  return facts
end

-- Vectors of rows at once, or nil and why rows do not fit.
local function vectors_of(p, isa)
  if is_row(p) then
    if p.r ~= 1 or p.m > 8 then return nil, "rows stand alone" end
    return p.m
  end
  local lanes = math.floor(isa.bits / 32)
  if p.m % lanes ~= 0 or p.r % p.m ~= 0 then return nil, "rows do not divide" end
  return p.m / lanes
end

-- Whether more is computed for each byte than fetching it takes: for batches, scales of groups, digits of base 3.
local function computes_most(p) return p.n > 1 or p.g > 0 or p.c == "b5" and p.a == 1 end

-- Whether more accumulators cost more than they save: each saves a shift a step at most, and costs a shift and an
-- addition for each token and group.
local function groups_end_soon(p)
  local code = mad.codes[p.c]
  return p.g > 0 and p.g / (code.width * code.planes) <= 2 * p.n
end

-- nil, or why a loop is not worth trying, since another does the same with less.
local function refuse_loop(p, isa)
  if computes_most(p) and p.u > 1 then return "tokens, scales or digits fill the loop already" end
  if is_row(p) and p.u > 2 then return "sums across lanes end the loop anyway" end
  if computes_most(p) and p.p ~= 0 and (p.p ~= 64 or p.h ~= 2) then return "computing hides what loads wait for" end
  if p.a > 1 and groups_end_soon(p) then return "groups end before more sums pay" end
  if p.p == 0 and p.h ~= 1 then return "nothing is fetched" end
  if p.u * p.m > 128 or is_row(p) and p.u * p.m * pieces(p, isa) > 32 then return "loop body too long" end
  return nil
end

-- nil, or why the point makes no sense on the ISA.
function mad.refuse(p, isa)
  local vectors, why = vectors_of(p, isa)
  if not vectors then return why end
  local code = mad.codes[p.c]
  if p.g > 0 and is_row(p) then return "a scale for each row" end
  if p.g % (code.width * code.planes) ~= 0 then return "a group is no whole number of steps" end
  if p.g > 0 and p.m % isa.flanes ~= 0 then return "rows do not fill a vector of floats" end
  if isa.signed_codes and p.a == 4 then return "codes are signed" end
  if p.c == "n5" and isa.five_first then return "f5 takes fewer lookups" end
  if p.c == "b5" and p.a == 4 then return "two sums at most" end
  if isa.dot16 and whole_bytes(p) then return "int16 overflow" end
  if isa.dot16 and flush(isa, p) * pieces(p, isa) < 4 then return "int16 overflow" end
  local held = mad.codes[p.c].planes == 5 and 3 + vectors or 0   -- tables or limits, and the fifth plane
  if vectors * p.n * p.a + vectors + 2 + p.a + held > isa.regs then return "registers" end
  return refuse_loop(p, isa)
end

-- Everything the template reads, and the facts for the kernel's record.
function mad.bind(p, isa)
  local code = mad.codes[p.c]
  local env = { lanes = math.floor(isa.bits / 32), planes = code.planes, kstep = code.width * code.planes,
    last = code.last or false, pieces = pieces(p, isa), flush = isa.dot16 and flush(isa, p), nibbles = nibbles }
  -- a lane of the fullest accumulator, or 256 times a row's sum of codes times activations, is below 2^31
  local steps = math.floor(2147483647 / (4 * 254 * load_of(p, isa)))
  if whole_bytes(p) then steps = math.floor(2147483647 / (256 * 254 * env.kstep)) end
  env.record = { form = "q8", table_bytes = 0, tokens = p.n, kmax = math.min(steps * env.kstep, 8388480),
    kind = p.g > 0 and "grouped" or "matmul", group = p.g }
  return env
end

-- Accumulators from which a batch of more than four tokens gains by its size. With the 12 that 16 registers hold, a
-- broadcast serves one or two vectors of rows only: 5 and 8 tokens cost 7 and 15 % more each than 4 do.
local gainful = 16

-- Codes of the fewest bits a trit, those with the fewest lookups first.
mad.smallest = { "f5", "n5", "b5" }

local function runs(p, isa)
  for _, word in ipairs(mad.words_of(p)) do if not isa[word] then return false end end
  return not mad.refuse(p, isa)
end

-- What runs untuned, for each number of tokens, on one layout of a code (q2 unless told): the most rows at once that
-- registers hold, then the most accumulators, or, where groups of g columns end soon, one. Batches of any size fetch
-- ahead: their first call has its weights from memory.
function mad.defaults(isa, g, code)
  local lanes = math.floor(isa.bits / 32)
  local r = math.max(16, 4 * lanes)
  local points = {}
  local function add(n, scales)
    for m = r, lanes, -lanes do
      for _, a in ipairs(scales) do
        local point = { c = code or "q2", r = r, m = m, n = n, a = a, u = 1, p = 64, h = 2, g = g }
        if runs(point, isa) and (n <= 4 or n * m >= gainful * lanes) then
          points[#points + 1] = point
          return
        end
      end
    end
  end
  if g > 0 then
    for _, n in ipairs { 1, 2, 4 } do add(n, { 1 }) end
    return points
  end
  add(1, { 4, 2, 1 })
  for _, n in ipairs { 2, 3, 4 } do add(n, { 2, 1 }) end
  for _, n in ipairs { 5, 6, 8, 12 } do add(n, { 1 }) end
  return points
end

return mad
