-- mad: unpack codes, multiply and add bytes. The layouts are quad layouts: they feed a broadcast of four
-- activations, need no sum across lanes, and do not depend on the vector length.
local mad = { name = "mad", template = "mad.c.lt", pack = "mad_pack.c.lt" }

-- planes of four columns in a byte: q2 is two bits a trit, f5 five trits a byte (1.6 bits)
mad.codes = { q2 = { planes = 4 }, f5 = { planes = 5 } }

-- c the code; r rows of a layout tile; m rows at once; n tokens; a accumulators, each a scale of planes (scaling a
-- plane by leaving it where it is saves its shift); u steps unrolled; p cache lines fetched ahead, h the cache level
-- they are fetched to
mad.order = { "m", "n", "a", "u", "p", "h" }
mad.space = {
  c = { "q2", "f5" },
  r = { 8, 16, 32, 64 },
  m = { 4, 8, 16, 32, 64 },
  n = { 1, 2, 3, 4, 8, 12 },
  a = { 1, 2, 4 },
  u = { 1, 2, 4 },
  p = { 0, 16, 32, 64, 128, 256 },
  h = { 1, 2 },
}
-- parameters that only shift when data arrives: searched last
mad.fine = { "u", "p", "h" }

function mad.words_of(p)
  local words = { "load", "quad", "mask", "and", "shr", "dot", "sum_add", "sum_shr", "sum_less", "sum_store" }
  if p.c == "f5" then words[#words + 1], words[#words + 2] = "five_first", "five_last" end
  return words
end

-- How many planes of a step the fullest accumulator adds, in units of its lightest plane.
local function load_of(p)
  local planes = mad.codes[p.c].planes
  return (p.a == 4 and planes - 3 or math.ceil(planes / p.a)) * 4 ^ (p.a - 1)
end

-- Steps after which the int16 sums must be widened: a plane adds isa.dot16 at most, times its scale.
local function flush(isa, p)
  return math.floor(32767 / (isa.dot16 * load_of(p)))
end

function mad.layout(p) return p.c .. "r" .. p.r end

function mad.layout_facts(text)
  local c, r = text:match("^(%a%d)r(%d+)$")
  local code = c and mad.codes[c]
  r = tonumber(r)
  return code and { c = c, r = r, rows = r, planes = code.planes, kstep = 4 * code.planes, bytes = 4 * r }
end

-- nil, or why the point makes no sense on the ISA.
function mad.refuse(p, isa)
  local lanes = math.floor(isa.bits / 32)
  if p.m % lanes ~= 0 or p.r % p.m ~= 0 then return "rows do not divide" end
  local vectors = p.m / lanes
  if isa.signed_codes and p.a == 4 then return "codes are signed" end
  if isa.dot16 and flush(isa, p) < 4 then return "int16 overflow" end
  local held = p.c == "f5" and 3 + vectors or 0      -- tables, and the fifth plane
  if vectors * p.n * p.a + vectors + 2 + p.a + held > isa.regs then return "registers" end
  if p.n > 1 and p.u > 1 then return "tokens fill the loop already" end
  if p.n > 4 and p.p ~= 0 and p.p ~= 32 then return "large batches reuse what they load" end
  if p.p == 0 and p.h ~= 1 then return "nothing is fetched" end
  if p.u * p.m > 128 then return "loop body too long" end
  return nil
end

-- Everything the template reads, and the facts for the kernel's record.
function mad.bind(p, isa)
  local planes = mad.codes[p.c].planes
  local env = { lanes = math.floor(isa.bits / 32), planes = planes, kstep = 4 * planes,
    flush = isa.dot16 and flush(isa, p) }
  local steps = math.floor(2147483647 / (4 * 254 * load_of(p)))
  env.record = { form = "q8", table_bytes = 0, tokens = p.n, kmax = math.min(steps * env.kstep, 8388480) }
  return env
end

-- What runs untuned, for each number of tokens, on one layout: the most rows at once that registers hold, then
-- the most accumulators.
function mad.defaults(isa)
  local lanes = math.floor(isa.bits / 32)
  local r = math.max(16, 4 * lanes)
  local points = {}
  local function add(n, p, scales)
    for m = r, lanes, -lanes do
      for _, a in ipairs(scales) do
        local point = { c = "q2", r = r, m = m, n = n, a = a, u = 1, p = p, h = p > 0 and 2 or 1 }
        if not mad.refuse(point, isa) then
          points[#points + 1] = point
          return
        end
      end
    end
  end
  add(1, 64, { 4, 2, 1 })
  for _, n in ipairs { 2, 3, 4 } do add(n, 64, { 2, 1 }) end     -- weights still come from memory
  for _, n in ipairs { 8, 12 } do add(n, 0, { 1 }) end
  return points
end

return mad
