-- bound: what keeps a kernel from being faster, as far as its instructions and the bandwidth tell: an estimate in
-- words. Ports are those of a common core: two loads, two products, one shuffle, three simple operations a cycle.

local emit = require "emit"
local name = require "name"

local bound = { memory_share = 0.85 }

local usual_ghz = 3 -- where the clock is not known
local busy_share = 0.6

local ports = {
  { what = "loads", rate = 2, words = { "load", "quad", "table", "wide_table", "word_table" } },
  { what = "the multiply ports", rate = 2, words = { "dot" } },
  { what = "the shuffle port", rate = 1, words = { "lookup", "wide_lookup", "word_lookup", "low16", "high16", "nibble",
    "five_first", "five_last" } },
  { what = "simple operations", rate = 3, words = { "and", "shr", "xor", "sign", "tops", "add16", "sub8", "trit",
    "triple" } },
}
-- words of several instructions
local instructions = { trit = 4, triple = 2, five_first = 2 }

-- { rows, columns, count = { load = 4, ... } } of "per 64 rows and 16 columns: 4 load, 16 dot"; nil if it says none.
function bound.operations(head)
  local rows, columns, list = head:match("%* per (%d+) rows and (%d+) columns[^:\n]*: ([^\n*]*)")
  if not rows then return nil end
  local count = {}
  for n, word in list:gmatch("(%d+) ([%w_]+)") do count[word] = tonumber(n) end
  return { rows = tonumber(rows), columns = tonumber(columns), count = count }
end

local issue = 4 -- operations a common core begins a cycle, whatever they are

local function on_port(port, count)
  local n = 0
  for _, word in ipairs(port.words) do n = n + (count[word] or 0) * (instructions[word] or 1) end
  return n
end

-- Cycles that so many of each word take at least: by the busiest group of ports, or by all that must begin.
function bound.cycles(count)
  local cycles, all = 0, 0
  for _, port in ipairs(ports) do
    local n = on_port(port, count)
    cycles, all = math.max(cycles, n / port.rate), all + n
  end
  return math.max(cycles, all / issue)
end

-- How busy each group of ports is, the busiest first. job: m, k; ns of the product; threads; ghz.
local function busy(operations, job, ns, threads, ghz)
  local steps = math.ceil(job.m / operations.rows) * math.ceil(job.k / operations.columns)
  local cycles, list = ns * ghz * threads, {}
  for i, port in ipairs(ports) do
    list[i] = { what = port.what, share = on_port(port, operations.count) * steps / port.rate / cycles, place = i }
  end
  table.sort(list, function(a, b)
    if a.share ~= b.share then return a.share > b.share end
    return a.place < b.place
  end)
  return list
end

-- One sentence. kernel: name, ns, share (or nil); mhz: of the clock, or nil.
function bound.of(kernel, job, threads, mhz)
  if kernel.share and kernel.share >= bound.memory_share then
    return ("memory: it reads at %.0f%% of what reading alone reaches"):format(100 * kernel.share)
  end
  local point = name.parse(kernel.name)
  local operations = point and bound.operations(emit.kernel(point).code)
  if not operations then return "not known: its instructions are not counted" end
  local ghz = mhz and mhz / 1000 or usual_ghz
  local list = busy(operations, job, kernel.ns, threads, ghz)
  local worst, next_worst = list[1], list[2]
  local figures = ("%s %.0f%% busy, %s %.0f%%, at %s%.1f GHz"):format(worst.what, 100 * worst.share, next_worst.what,
    100 * next_worst.share, mhz and "" or "an assumed ", ghz)
  if worst.share >= busy_share then return "instructions: " .. figures end
  return "waiting, for memory, for sums or for the other threads: " .. figures
end

return bound
