-- dispatch: the table of choices, results/CPU/dispatch.lua: text to read and to diff, and data to literal.lua. What
-- gen/choose.lua demands of it stands there.

local literal = require "literal"
local emit = require "emit"
local name = require "name"
local linux = require "linux"

local dispatch = {}

local role_order = { qkv = 1, o = 2, gate_up = 3, down = 4 }

-- -- writing -----------------------------------------------------------------------------------------------

local spelled = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ["\\"] = "\\\\", ['"'] = '\\"' }

local function text_of(value) return '"' .. value:gsub('[\n\t\r\\"]', spelled) .. '"' end

local formats = { ns = "%.0f", call_ns = "%.0f", bytes = "%.0f", gbps = "%.2f", share = "%.3f", gain = "%.3f",
  prompt_gain = "%.3f", margin = "%.3f", bench_ns = "%.0f", read_gbps = "%.2f", confidence = "%.2f", mean = "%.3f",
  decode = "%.3f", prompt = "%.3f", runner_up_decode = "%.2f", runner_up_prompt = "%.1f", runner_up_ratio = "%.3f",
  default_decode = "%.2f", default_prompt = "%.1f", default_ratio = "%.3f", active = "%.2f", dense_ns = "%.0f",
  break_even = "%.3f" }

-- "key = value" of those of `keys` that `t` has.
function dispatch.fields(t, keys)
  local list = {}
  for _, key in ipairs(keys) do
    local value = t[key]
    if type(value) == "string" then value = text_of(value)
    elseif type(value) == "number" then value = (formats[key] or "%d"):format(value)
    elseif value ~= nil then value = tostring(value) end
    if value then list[#list + 1] = key .. " = " .. value end
  end
  return list
end

local kernel_keys = { "tokens", "name", "hash", "ns", "call_ns", "gbps", "share", "bytes", "runner_up", "margin",
  "confidence", "bench_ns", "unconfirmed" }
local job_keys = { "role", "m", "k", "group", "layout", "gain", "prompt_gain", "state" }
local team_keys = { "threads", "pinned" }
local confirmed_keys = { "shape", "layers", "of", "vocab", "prompt_tokens", "rounds", "winner", "decode", "prompt",
  "runner_up_decode", "runner_up_prompt", "runner_up_ratio", "default_decode", "default_prompt", "default_ratio" }
local sparse_keys = { "name", "hash", "break_even" }
local at_keys = { "active", "ns", "dense_ns" }
local table_keys = { "cpu", "arch", "compiler", "threads", "read_gbps", "pool_mib", "objective" }

-- The fields of a job's sparse kernel, behind the others.
local function sparse_text(s)
  local at = {}
  for i, p in ipairs(s.at) do at[i] = "{ " .. table.concat(dispatch.fields(p, at_keys), ", ") .. " }" end
  return ("sparse = { %s, at = {\n      %s } }"):format(table.concat(dispatch.fields(s, sparse_keys), ", "),
    table.concat(at, ",\n      "))
end

local function job_text(job)
  local lines = { "    { " .. table.concat(dispatch.fields(job, job_keys), ", ") .. ", kernels = {" }
  for _, k in ipairs(job.kernels) do
    lines[#lines + 1] = "      { " .. table.concat(dispatch.fields(k, kernel_keys), ", ") .. " },"
  end
  lines[#lines + 1] = "    }" .. (job.sparse and ", " .. sparse_text(job.sparse) or "") .. " },"
  return table.concat(lines, "\n")
end

-- What runs the phases, and what the trial of the table said.
local function head(t)
  local list = dispatch.fields(t, table_keys)
  local function add(key, keys)
    if t[key] then list[#list + 1] = ("%s = { %s }"):format(key, table.concat(dispatch.fields(t[key], keys), ", ")) end
  end
  add("decode", team_keys)
  add("prompt", team_keys)
  if t.huge ~= nil then list[#list + 1] = "huge = " .. tostring(t.huge) end
  add("confirmed", confirmed_keys)
  return list
end

local function before(a, b)
  if a.k * a.m ~= b.k * b.m then return a.k * a.m > b.k * b.m end
  if a.role ~= b.role then return (role_order[a.role] or 9) < (role_order[b.role] or 9) end
  return (a.group or 0) < (b.group or 0)
end

-- t: table_keys, decode, prompt { team_keys }, huge, confirmed { confirmed_keys }, date (of the newest sample),
-- jobs { role, m, k, group (columns that share a scale; nil where whole rows do), layout, gain, prompt_gain,
--   kernels = { kernel_keys } }
function dispatch.text(t)
  local jobs, lines = {}, {}
  for i, job in ipairs(t.jobs) do jobs[i] = job end
  table.sort(jobs, before)
  for i, job in ipairs(jobs) do lines[i] = job_text(job) end
  return ([[
-- What runs where on %s, as tune/tune.lua measured it on %s.
-- Data, read and never executed. ns: of one product of the matrix with that many tokens; call_ns: the same in a
-- batch, where the weights are in cache: what tokens are cut by; gbps: packed bytes over ns; share: of the GB/s that
-- reading alone reached over as much memory; gain: over the default kernel; margin: how much slower the runner-up is;
-- confidence: how often the choice stays ahead of it when the samples are drawn again; state: what was wrong with the
-- machine while it was measured, if anything. decode, prompt: who runs single tokens and batches; huge: weights in huge
-- pages. confirmed: tokens/s of so many layers of a model under this table; ratio: others' time over its.
-- sparse: the kernel of active rows of up (half of gate_up) or inputs of down, the fraction of them at which the
-- dense kernel is as fast, and what both took where it was measured.
return {
  %s,
  jobs = {
%s
  },
}
]]):format((t.cpu:gsub("%c", " ")), t.date, table.concat(head(t), ",\n  "), table.concat(lines, "\n"))
end

-- true, or nil and why.
function dispatch.write(path, t) return linux.replace(path, dispatch.text(t)) end

-- -- reading -----------------------------------------------------------------------------------------------

-- The table at `path`; nil if there is none; nil and one sentence if it is no such table.
function dispatch.read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local text = f:read(literal.most_bytes + 1) or ""
  f:close()
  local t, why = literal.read(text)
  if not t then return nil, ("%s: %s; a dispatch table was expected"):format(path, why) end
  if type(t) ~= "table" or type(t.cpu) ~= "string" or type(t.jobs) ~= "table" then
    return nil, path .. ": expected a dispatch table with cpu and jobs"
  end
  return t
end

-- Whether every kernel of a job still is what was measured.
function dispatch.current(job)
  if type(job) ~= "table" or type(job.kernels) ~= "table" or #job.kernels == 0 then return false end
  for _, k in ipairs(job.kernels) do
    local point = type(k) == "table" and name.parse(k.name)
    if not point or emit.kernel(point).hash ~= k.hash then return false end
  end
  local point = type(job.sparse) == "table" and name.parse(job.sparse.name)
  return job.sparse == nil or point and emit.kernel(point).hash == job.sparse.hash or false
end

-- The points a table names, as far as they exist.
function dispatch.points(t)
  local points = {}
  for _, job in ipairs(t.jobs) do
    for _, k in ipairs(type(job) == "table" and type(job.kernels) == "table" and job.kernels or {}) do
      points[#points + 1] = type(k) == "table" and name.parse(k.name) or nil
    end
  end
  return points
end

-- "down 2560x6912", or "down 2560x6912 g128" where columns share scales.
function dispatch.key(job)
  return ("%s %sx%s%s"):format(tostring(job.role), tostring(job.m), tostring(job.k),
    job.group and " g" .. tostring(job.group) or "")
end

return dispatch
