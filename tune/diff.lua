-- diff: two tables, or the tables that two files of measurements lead to, job by job.

local dispatch = require "dispatch"
local linux = require "linux"
local name = require "name"
local replay = require "replay"

local diff = { summary = "What two files (measurements or tables) chose, job by job." }

function diff.options(parser)
  parser:argument("a", "A file of measurements, or a dispatch table."):argname("A")
  parser:argument("b", "Another."):argname("B")
end

-- A table is known by how it begins: measurements are objects of JSON.
local function table_of(path)
  local text, why = linux.read(path, 65536)
  if not text then return nil, why end
  if text:match("^%s*{") then return replay.file(path) end
  return dispatch.read(path)
end

-- Its jobs by key: what can be compared of them.
local function jobs_of(t)
  local jobs, order = {}, {}
  for _, job in ipairs(t.jobs) do
    local k = type(job) == "table" and type(job.kernels) == "table" and job.kernels[1]
    if type(k) == "table" and name.parse(k.name) and tonumber(k.ns) and tostring(job.role):match("^[%w_]+$") then
      local key = dispatch.key(job)
      if not jobs[key] then order[#order + 1] = key end
      jobs[key] = { name = k.name, ns = tonumber(k.ns) }
    end
  end
  return jobs, order
end

local function compared(key, a, b)
  if not a or not b then return ("%s: only in %s: %s\n"):format(key, a and "A" or "B", (a or b).name) end
  local kernels = ("  A     %s\n  B     %s\n"):format(a.name, b.name)
  if a.name == b.name then kernels = "  both  " .. a.name .. "\n" end
  return ("%s: A %.0f ns, B %.0f ns, B takes %.3f times A's\n%s"):format(key, a.ns, b.ns, b.ns / a.ns, kernels)
end

function diff.run(o)
  local a, why = table_of(o.a)
  if not a then return nil, why end
  local b
  b, why = table_of(o.b)
  if not b then return nil, why end
  local in_a, order = jobs_of(a)
  local in_b, more = jobs_of(b)
  for _, key in ipairs(more) do if not in_a[key] then order[#order + 1] = key end end
  local out = {}
  for i, key in ipairs(order) do out[i] = compared(key, in_a[key], in_b[key]) end
  return table.concat(out)
end

return diff
