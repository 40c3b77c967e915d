-- cost: how long a candidate should take, as far as its text tells: operations, registers, bytes. A guess that orders
-- candidates, so that those likely to win are built and timed first; what decides is measured.

local bound = require "bound"
local measure = require "measure"
local space = require "space"

local cost = {}

local usual = { ghz = 3, read = 15 } -- where nobody measured: a common core's clock, and GB/s
local hidden = 0.6                    -- of the shorter of computing and reading, what passes behind the longer
local per_spill = 2                   -- memory operations for a vector that has no register, in every step
local per_loop = 4                    -- cycles of the loop itself, divided by how often it is unrolled
local table_rate = 8                  -- bytes of lookup tables that come from the second-level cache in a cycle
local strided = 0.4                   -- longer reading for every halving of the rows at once below those of a tile

-- What a kernel gets of the bandwidth, by cache lines fetched ahead; more than the last counts as the last.
local fetched = { { 0, 0.75 }, { 16, 0.9 }, { 32, 0.96 }, { 64, 1 }, { 128, 0.98 }, { math.huge, 0.96 } }
local near_cache = 0.9 -- where lines are fetched into the first-level cache, which is small

local function escaped(text) return (text:gsub("%p", "%%%0")) end

-- The text of a kernel before its inner loop, which is the first that declares nothing: for (; j < ...
local function before_loop(c)
  local body = c.code:match(escaped(c.symbol) .. "(%b().*)$") or ""
  return body:match("^(.-)%f[%a]for %(;") or body:match("^(.*)%f[%a]for %(") or body
end

-- How many vectors live through the inner loop of a kernel.
local function held(c, isa)
  local before, n = before_loop(c), 0
  for _, kind in ipairs { "vec", "sum_t" } do
    local type_name = isa[kind]
    if type_name and (kind == "vec" or type_name ~= isa.vec) then
      for declared in before:gmatch("%f[%w_]" .. escaped(type_name) .. " ([^;]*);") do
        n = n + select(2, declared:gsub("[%w_]+ = ", ""))
      end
    end
  end
  return n
end

-- One step of the inner loop, of `rows` times `columns`: its cycles; nil if the text does not count its operations.
local function step_of(c)
  local operations = bound.operations(c.code)
  if not operations then return nil end
  local isa, count = space.isa(c.isa), {}
  for word, n in pairs(operations.count) do count[word] = n end
  if isa.dot16 then count.add16 = (count.add16 or 0) + (count.dot or 0) end -- narrow sums are added apart
  count.load = (count.load or 0) + per_spill * math.max(0, held(c, isa) - isa.regs)
  return { rows = operations.rows, columns = operations.columns,
    cycles = bound.cycles(count) + per_loop / (c.point.u or 1) + (c.table_bytes or 0) / table_rate }
end

-- The share of the bandwidth that a kernel's way through memory lets it have.
local function reach(c)
  local p, share = c.point, nil
  for _, row in ipairs(fetched) do
    if not share and (p.p or 0) <= row[1] then share = row[2] end
  end
  if p.h == 1 and p.p ~= 0 then share = share * near_cache end
  return share / (1 + strided * math.log(c.layout.rows / math.min(p.m or c.layout.rows, c.layout.rows)) / math.log(2))
end

-- Nanoseconds of one product with job's matrix, per token. machine: threads; read (GB/s of all of them), ghz, or nil.
function cost.ns(c, job, machine)
  if c.step == nil then c.step = step_of(c) or false end
  local tokens = c.tokens or 1
  local reading = measure.bytes(job, c.layout) / ((machine.read or usual.read) * reach(c))
  if not c.step then return reading / tokens end
  local steps = math.ceil(job.m / c.step.rows) * math.ceil(job.k / c.step.columns)
  local computing = steps * c.step.cycles / ((machine.ghz or usual.ghz) * (machine.threads or 1))
  return (math.max(computing, reading) + (1 - hidden) * math.min(computing, reading)) / tokens
end

-- The items, those of which least is expected (ns_of(item)) first; what is equal stays in order.
function cost.order(list, ns_of)
  local ns, place, out = {}, {}, {}
  for i, c in ipairs(list) do out[i], ns[c], place[c] = c, ns_of(c), i end
  table.sort(out, function(a, b)
    if ns[a] ~= ns[b] then return ns[a] < ns[b] end
    return place[a] < place[b]
  end)
  return out
end

-- Ranks of numbers; equal ones share the mean of theirs.
local function ranks(values)
  local order, rank = {}, {}
  for i = 1, #values do order[i] = i end
  table.sort(order, function(a, b)
    if values[a] ~= values[b] then return values[a] < values[b] end
    return a < b
  end)
  local first = 1
  while first <= #order do
    local last = first
    while last < #order and values[order[last + 1]] == values[order[first]] do last = last + 1 end
    for i = first, last do rank[order[i]] = (first + last) / 2 end
    first = last + 1
  end
  return rank
end

-- How alike two lists of numbers are ordered: 1 the same, 0 not at all, -1 the reverse (Spearman). nil if either
-- is constant.
function cost.correlation(a, b)
  local ra, rb, n = ranks(a), ranks(b), #a
  local middle, ab, aa, bb = (n + 1) / 2, 0, 0, 0
  for i = 1, n do
    local x, y = ra[i] - middle, rb[i] - middle
    ab, aa, bb = ab + x * y, aa + x * x, bb + y * y
  end
  return aa > 0 and bb > 0 and ab / math.sqrt(aa * bb) or nil
end

return cost
