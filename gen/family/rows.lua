-- rows: only some rows of a matrix, those of a list: what a squared ReLU leaves of the product beside its gate. Reads
-- the row layout of mad, so that the same packed bytes feed both.
local mad = require("space").family "mad"

local rows = { name = "rows", kind = "rows", template = "rows.c.lt" }

-- c the code; r rows of a layout tile; m rows at once; a accumulators, each a scale of planes; p places of the list
-- fetched ahead, h the cache level they are fetched to
rows.order = { "m", "a", "p", "h" }
rows.space = {
  c = { "r2" },
  r = { 1 },
  m = { 1, 2, 4 },
  a = { 1, 2, 4 },
  p = { 0, 8, 12, 16 },
  h = { 1, 2 },
}
rows.fine = { "p", "h" }

-- The share of active rows from which the dense kernel is as fast, where nobody has measured it.
rows.break_even = 0.4

function rows.words_of()
  return { "load", "mask", "and", "shr", "dot", "sum_add", "sum_shr", "sum_across" }
end

function rows.layout(p) return p.c .. "r" .. p.r end

function rows.layout_facts(text) return text == "r2r1" and mad.layout_facts(text) or nil end

local function pieces(isa) return math.floor(512 / isa.bits) end

-- How many dot products a step adds to a lane of an accumulator, in units of its lightest plane.
local function load_of(p, isa) return math.floor(4 / p.a) * 4 ^ (p.a - 1) * pieces(isa) end

local function flush(isa, p) return math.floor(32767 / (isa.dot16 * load_of(p, isa))) end

function rows.refuse(p, isa)
  if isa.signed_codes and p.a == 4 then return "codes are signed" end
  if isa.dot16 and flush(isa, p) < 1 then return "int16 overflow" end
  if p.m * p.a + p.a + p.m + 2 > isa.regs then return "registers" end
  if p.p == 0 and p.h ~= 1 then return "nothing is fetched" end
  return nil
end

function rows.bind(p, isa)
  local steps = math.floor(2147483647 / (4 * 254 * load_of(p, isa)))
  return { pieces = pieces(isa), flush = isa.dot16 and flush(isa, p),
    record = { form = "q8", table_bytes = 0, tokens = 1, kmax = math.min(steps * 256, 8388480) } }
end

-- The most rows at once that registers hold, then the most accumulators.
function rows.defaults(isa)
  for _, m in ipairs { 4, 2, 1 } do
    for _, a in ipairs { 4, 2, 1 } do
      local point = { c = "r2", r = 1, m = m, a = a, p = 8, h = 2 }
      if not rows.refuse(point, isa) then return { point } end
    end
  end
  return {}
end

return rows
