-- kernels: rows of bench/kernels.lua, as Google Benchmark's JSON has them, as rows of figures. Knows their names.

local figures = require "tables.figures"
local name = require "name"

local kernels = {}

-- NAME/ROWSxCOLUMNS[/tokens:N][/active:F]/threads:N/warm|cold/manual_time
local function named(text)
  local kernel, shape, rest = text:match("^([%w_]+)/(%d+x%d+)(/.*)$")
  local point = kernel and name.parse(kernel)
  if not point then return nil end
  return { kernel = kernel, shape = shape, point = point, layout = kernel:match("^%a+_(%w+)_"),
    tokens = tonumber(rest:match("/tokens:(%d+)")) or 1, threads = tonumber(rest:match("/threads:(%d+)")),
    gbps = {}, weights = {}, operations = {}, percent = {} }
end

local rates = { gbps = "bytes", weights = "weights", operations = "operations" }

local function add(row, r)
  for field, counter in pairs(rates) do
    if type(r[counter]) == "number" and r[counter] > 0 then table.insert(row[field], r[counter] / 1e9) end
  end
  if type(r.percent) == "number" then table.insert(row.percent, r.percent / 100) end
end

-- Of a record of one turn (or nil) its rows: kernel, shape, tokens, threads, point, layout; figures of gbps (of packed
-- weights), weights and operations (10^9 a second); percent: the median share of what was possible.
function kernels.rows(record)
  local list, by = {}, {}
  for _, round in ipairs(record and record.turns[1].rounds or {}) do
    for _, r in ipairs(round) do
      local text = type(r.name) == "string" and r.run_type == "iteration" and r.name
      if text and not by[text] then
        by[text] = named(text)
        list[#list + 1] = by[text]
      end
      if by[text] then add(by[text], r) end
    end
  end
  for _, row in ipairs(list) do
    for field in pairs(rates) do row[field] = figures.of(row[field]) end
    row.percent = figures.median(row.percent)
  end
  return list
end

-- The best of each family, layout and ISA for a shape, the fastest first; by: "gbps", "weights" or "operations".
function kernels.best(rows, by)
  local best, list = {}, {}
  for _, r in ipairs(rows) do
    local key = ("%s %s %s %s"):format(r.point.family, r.layout, r.point.isa, r.shape)
    if r[by] and (not best[key] or r[by].median > best[key][by].median) then best[key] = r end
  end
  for _, r in pairs(best) do
    r.label = ("%s %s %s"):format(r.point.isa, r.point.family, r.layout)
    list[#list + 1] = r
  end
  table.sort(list, function(a, b)
    if a.shape ~= b.shape then return a.shape > b.shape end
    if a[by].median ~= b[by].median then return a[by].median > b[by].median end
    return a.kernel < b.kernel
  end)
  return list
end

return kernels
