-- selection: the small space (--space small): at most 300 points, always the same for the same instruction sets, which
-- can be tried exhaustively in minutes. Of the widest instruction sets present: what runs untuned; then one tile
-- (all parameters but the fine ones) after the other with its usual fine values; then all tiles once more, each
-- with another setting of the fine values, and so on. A third of the points is for batches. Where there are more
-- tiles than places, families, codes and numbers of tokens take turns: each has some.

local space = require "space"

local selection = { most = 300 }

local share_of_batches = 1 / 3

-- The names among `isas` whose registers are the widest.
local function widest(isas)
  local bits, list = 0, {}
  for _, isa in ipairs(isas) do bits = math.max(bits, space.isa(isa).bits) end
  for _, isa in ipairs(isas) do if space.isa(isa).bits == bits then list[#list + 1] = isa end end
  return list
end

-- The points of one family on one ISA as rows: one for each tile, its settings from the most usual to the oddest.
local function tiles_of(family, isa, batches, o)
  local rows, of = {}, {}
  for _, p in ipairs(space.points(family, isa, o.group)) do
    if ((p.n or 1) > 1) == batches and space.holds_all(p) then
      local key = o.tile_key(p)
      if not of[key] then
        of[key] = { code = p.c or "", tokens = p.n or 1 }
        rows[#rows + 1] = of[key]
      end
      table.insert(of[key], p)
    end
  end
  for _, row in ipairs(rows) do
    local place, odd = {}, {}
    for i, p in ipairs(row) do place[p], odd[p] = i, o.oddity(p) end
    table.sort(row, function(a, b)
      if odd[a] ~= odd[b] then return odd[a] < odd[b] end
      return place[a] < place[b]
    end)
  end
  return rows
end

-- Rows of one ISA: families, codes and numbers of tokens in turn.
local function rows_of(isa, families, batches, o)
  local queues, by = {}, {}
  for _, family in ipairs(families) do
    for _, row in ipairs(tiles_of(family, isa, batches, o)) do
      local key = family .. row.code .. row.tokens
      if not by[key] then
        by[key] = {}
        queues[#queues + 1] = by[key]
      end
      table.insert(by[key], row)
    end
  end
  return o.in_turn(queues)
end

-- The usual setting of every tile first; then the i-th tile has one of its others, another for each tile, until all
-- have had all.
local function generations(rows)
  local list, longest = {}, 0
  for _, row in ipairs(rows) do longest = math.max(longest, #row) end
  for g = 0, longest - 1 do
    for i, row in ipairs(rows) do
      local others = #row - 1
      if g == 0 then list[#list + 1] = row[1]
      elseif g <= others then list[#list + 1] = row[2 + (g - 1 + i) % others] end
    end
  end
  return list
end

-- Takes points in order, until so many different kernels are taken.
local function take(list, points, most, o)
  for _, p in ipairs(points) do
    local c = #list < most and o.candidate(p)
    if c and not list[c] then
      list[#list + 1], list[c] = c, true
    end
  end
end

-- The candidates of the small space. isas, families: names; o: first (candidates that are in it anyway),
-- candidate(point), tile_key(point), oddity(point), in_turn(queues) (candidates.lua); most: how many at most.
function selection.of(isas, families, o, most)
  most = most or selection.most
  local list, batch_part = {}, math.floor(most * share_of_batches)
  local wide = widest(isas)
  for i, c in ipairs(o.first) do list[i], list[c] = c, true end
  for _, part in ipairs { { false, most - batch_part }, { true, most } } do
    local rows = {}
    for _, isa in ipairs(wide) do
      for _, row in ipairs(rows_of(isa, families, part[1], o)) do rows[#rows + 1] = row end
    end
    take(list, generations(rows), part[2], o)
  end
  return list
end

return selection
