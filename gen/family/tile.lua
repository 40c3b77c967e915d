-- tile: matrix engines for many tokens. Weights are unpacked, a panel of rows and a block of columns at a time, into
-- the order in which the engine takes them; then all tokens are multiplied with the panel. What an engine multiplies
-- at once is its ISA's `tile`; packed weights are those of mad.
local space = require "space"
local mad = space.family("mad")

local tile = { name = "tile", template = "tile.c.lt", pack = mad.pack, layout = mad.layout,
  layout_facts = mad.layout_facts }

-- c the code; r rows of a layout tile; m rows and t tokens at once, a block of tiles; n tokens; b columns unpacked at
-- once; p cache lines fetched ahead when unpacking, h the cache level they are fetched to
tile.order = { "m", "t", "n", "b", "p", "h" }
tile.space = {
  c = { "q2", "f5" },
  r = { 16, 32, 64 },
  m = { 4, 8, 16, 32 },
  t = { 4, 8, 16, 32 },
  n = { 8, 16, 32, 64, 128, 256 },
  b = { 320, 640, 2560 }, -- whole tiles and whole steps of every code
  p = { 0, 16, 64 },
  h = { 1, 2 },
}
tile.fine = { "p", "h" }

-- What the inner loop does, for the comment above a kernel.
tile.inner = { "tile_x", "tile_w", "tile_dot" }

-- opaque: none of plain C, whose products of zeros a compiler leaves out
tile.peak = { template = "tile_peak.c.lt", tokens = 16,
  words = { "opaque", "tile", "tile_sums", "tile_x", "tile_w", "tile_dot", "tile_store" } }

function tile.words_of(p)
  local words = { "load", "mask", "and", "shr", "tile_fill", "tile_sums", "tile_x", "tile_w", "tile_dot", "tile_store" }
  if p.c == "f5" then words[#words + 1], words[#words + 2] = "five_first", "five_last" end
  return words
end

-- Tokens of one tile: an engine that can be told holds no more than there are.
local function tokens_of(p, isa)
  return isa.tile_config and math.min(p.n, isa.tile.tokens) or isa.tile.tokens
end

-- Whether the registers hold m rows times t tokens of sums, and one step of their operands.
local function fits(m, t, tokens, engine)
  local rows, columns = m / engine.rows, t / tokens
  return rows * columns * engine.sums + rows * engine.w + columns * engine.x <= engine.registers
end

-- nil, or why the point makes no sense on the ISA.
function tile.refuse(p, isa)
  local engine = isa.tile
  if not engine then return "no matrix engine" end
  local tokens = tokens_of(p, isa)
  if p.m % engine.rows ~= 0 or p.r % p.m ~= 0 then return "rows do not divide" end
  if p.t % tokens ~= 0 or p.n % p.t ~= 0 then return "tokens do not divide" end
  if mad.codes[p.c].planes % engine.quads ~= 0 then return "columns do not divide" end
  if not fits(p.m, p.t, tokens, engine) then return "registers" end
  if (2 * p.m <= p.r and fits(2 * p.m, p.t, tokens, engine)) or
    (p.n % (2 * p.t) == 0 and fits(p.m, 2 * p.t, tokens, engine)) then
    return "leaves registers empty"
  end
  if p.p == 0 and p.h ~= 1 then return "nothing is fetched" end
  return nil
end

-- Everything the template reads, and the facts for the kernel's record.
function tile.bind(p, isa)
  local engine, kstep = isa.tile, 4 * mad.codes[p.c].planes
  local env = { planes = mad.codes[p.c].planes, kstep = kstep, rows = engine.rows, columns = engine.columns,
    quads = engine.quads, tokens = tokens_of(p, isa), tail = kstep % engine.columns ~= 0 }
  -- sums begin at -sum(x), 127 a column at most, and a column adds 2 * 127 at most
  local kmax = math.floor(2147483647 / 381 / kstep) * kstep
  env.record = { form = "q8", table_bytes = 0, tokens = p.n, kmax = kmax }
  env.counted = { tokens = p.t, columns = engine.columns, times = env.tail and 2 or 1 }
  return env
end

-- What runs untuned in mad's layout: the largest block of tiles for each number of tokens; a panel that stays in the
-- first-level cache for few of them, and whole rows for many. None where groups of columns share scales.
function tile.defaults(isa, g, code)
  if g > 0 then return {} end
  local usual, points = mad.defaults(isa, 0)[1], {}
  for _, n in ipairs(tile.space.n) do
    local found
    for _, m in ipairs(tile.space.m) do
      for _, t in ipairs(tile.space.t) do
        local p = { c = code or "q2", r = usual.r, m = m, t = t, n = n, b = n <= 128 and 640 or 2560, p = 16, h = 1 }
        if not tile.refuse(p, isa) then found = p end
      end
    end
    points[#points + 1] = found
  end
  return points
end

return tile
