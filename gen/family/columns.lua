-- columns: only some columns of a matrix, those whose input is not zero, of a matrix whose columns are packed as the
-- rows of mad's row layout.
local mad = require("space").family "mad"

local columns = { name = "columns", kind = "columns", template = "columns.c.lt" }

-- c the code; r columns of a layout tile; m rows at once; a scales of planes; b columns of a block; p blocks fetched
-- ahead, h the cache level they are fetched to
columns.order = { "m", "a", "b", "p", "h" }
columns.space = {
  c = { "r2" },
  r = { 1 },
  m = { 32, 64, 128, 256 },
  a = { 1, 2, 4 },
  b = { 16, 32, 64, 128 },
  p = { 0, 1 },
  h = { 1, 2 },
}
columns.fine = { "b", "p", "h" }

-- The share of inputs that are not zero from which the dense kernel is as fast, where nobody has measured it.
columns.break_even = 0.4

function columns.words_of()
  return { "load", "quad", "mask", "and", "shr", "dot", "low16", "high16", "low32", "high32", "sum_load", "sum_shr",
    "sum_less", "sum_store" }
end

function columns.layout(p) return p.c .. "r" .. p.r end

function columns.layout_facts(text) return text == "r2r1" and mad.layout_facts(text) or nil end

-- An accumulator holds one plane: a block adds to it once for every four columns.
local function most_of(p, isa) return p.b / 4 * isa.dot16 * 4 ^ (p.a - 1) end

function columns.refuse(p, isa)
  local quads = p.m * 8 / isa.bits
  if quads ~= 2 and quads ~= 4 then return "rows do not divide" end
  if isa.signed_codes and p.a == 4 then return "codes are signed" end
  if isa.dot16 and most_of(p, isa) > 32767 then return "int16 overflow" end
  local wide = isa.dot_t and 2 or 1                  -- registers of an accumulator
  if 4 * quads * wide + quads + 2 + p.a > isa.regs then return "registers" end
  if p.p == 0 and p.h ~= 1 then return "nothing is fetched" end
  return nil
end

function columns.bind(p, isa)
  return { lanes = math.floor(isa.bits / 32), pieces = math.floor(512 / isa.bits),
    counted = { tokens = 1, columns = 4, times = 1 },
    record = { form = "q8", table_bytes = 0, tokens = 1,
      kmax = math.min(math.floor(2147483647 / (254 * 4 ^ (p.a - 1))), 8388480) } }
end

-- The most rows at once that registers hold, then the most scales.
function columns.defaults(isa)
  for _, m in ipairs { 256, 128, 64, 32 } do
    for _, a in ipairs { 4, 2, 1 } do
      local point = { c = "r2", r = 1, m = m, a = a, b = 64, p = 1, h = 2 }
      if not columns.refuse(point, isa) then return { point } end
    end
  end
  return {}
end

return columns
