-- mad: unpack two-bit codes, multiply and add bytes. The layout is the quad layout: it feeds a broadcast
-- of four activations, needs no sum across lanes, and does not depend on the vector length.
local mad = { name = "mad", template = "mad.c.lt", pack = "mad_pack.c.lt" }

-- r rows of a layout tile; m rows at once; n tokens; a accumulators, each a scale of planes (scaling a
-- plane by leaving it where it is saves its shift); u steps unrolled; p cache lines fetched ahead
mad.order = { "m", "n", "a", "u", "p" }
mad.space = {
  r = { 8, 16, 32, 64 },
  m = { 4, 8, 16, 32, 64 },
  n = { 1, 2, 4, 8, 16 },
  a = { 1, 2, 4 },
  u = { 1, 2, 4 },
  p = { 0, 16, 32, 64, 128 },
}
-- parameters that only shift when data arrives: searched last
mad.fine = { "u", "p" }

mad.words = { "load", "quad", "mask", "and", "shr", "dot", "sum_add", "sum_shr", "sum_less", "sum_store" }

-- Steps of 16 columns after which the int16 sums must be widened: a plane adds isa.dot16 at most, scaled
-- by its place; 4 / a planes share an accumulator.
local function flush(isa, a)
  return math.floor(32767 / (isa.dot16 * (4 / a) * 4 ^ (a - 1)))
end

function mad.layout(p) return "q2r" .. p.r end

function mad.layout_facts(text)
  local r = tonumber(text:match("^q2r(%d+)$"))
  return r and { r = r, rows = r, kstep = 16, bytes = 4 * r }
end

-- nil, or why the point makes no sense on the ISA.
function mad.refuse(p, isa)
  local lanes = math.floor(isa.bits / 32)
  if p.m % lanes ~= 0 or p.r % p.m ~= 0 then return "rows do not divide" end
  local vectors = p.m / lanes
  if isa.dot16 and flush(isa, p.a) < 4 then return "int16 overflow" end
  if vectors * p.n * p.a + vectors + 2 + p.a > isa.regs then return "registers" end
  if p.n > 1 and p.u > 1 then return "tokens fill the loop already" end
  if p.n > 1 and p.p ~= 0 and p.p ~= 32 then return "batches reuse what they load" end
  if p.u * p.m > 128 then return "loop body too long" end
  return nil
end

-- Everything the template reads, and the facts for the kernel's record.
function mad.bind(p, isa)
  local env = { lanes = math.floor(isa.bits / 32), flush = isa.dot16 and flush(isa, p.a) }
  local per_step = 4 * (4 / p.a) * 254 * 4 ^ (p.a - 1)
  env.record = { form = "q8", table_bytes = 0, tokens = p.n,
    kmax = math.min(16 * math.floor(2147483647 / per_step), 8388480) }
  return env
end

-- What runs untuned, for each number of tokens, on one layout: the most rows at once that registers hold.
function mad.defaults(isa)
  local lanes = math.floor(isa.bits / 32)
  local r = math.max(16, 2 * lanes)
  local points = {}
  local function add(n, a, p)
    for m = r, lanes, -lanes do
      local point = { r = r, m = m, n = n, a = a, u = 1, p = p }
      if not mad.refuse(point, isa) then
        points[#points + 1] = point
        return
      end
    end
  end
  add(1, isa.dot16 and 2 or isa.regs >= 32 and 4 or 1, 64)
  for _, n in ipairs { 2, 4, 8, 16 } do add(n, 1, 0) end
  return points
end

return mad
