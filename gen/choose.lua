-- choose: which points a build links, and the dispatch tables it carries: the defaults of every ISA, and the
-- winners of a tuner's table. The table is data; its names go through name.lua, its hashes are compared.

local space = require "space"
local name = require "name"
local emit = require "emit"
local plan_of = require "plan"
local untuned = require "untuned"
local literal = require "literal"

local choose = {}

local function all_defaults(family, isa)
  local list = {}
  for _, group in ipairs(space.groups(family)) do
    for _, p in ipairs(space.defaults(family, isa, group)) do list[#list + 1] = p end
  end
  return list
end

-- selection: "default", "cover" (every value of every parameter on every ISA) or "all".
function choose.points(arch, selection, only)
  local list = {}
  for _, isa in ipairs(space.isas(arch)) do
    if not only or only == isa then
      for _, family in ipairs(space.families()) do
        local points
        if selection == "all" then points = space.points(family, isa)
        elseif selection == "cover" then points = space.cover(family, isa)
        else points = all_defaults(family, isa) end
        for _, p in ipairs(points) do list[#list + 1] = p end
      end
      for _, p in ipairs(untuned.points(isa)) do list[#list + 1] = p end
      for _, p in ipairs(untuned.smallest(isa)) do list[#list + 1] = p end
      for _, p in ipairs(untuned.structured(isa)) do list[#list + 1] = p end
    end
  end
  return list
end

local function c_string(text)
  return '"' .. tostring(text):gsub('[%c\\"]', function(c) return ("\\%03o"):format(c:byte()) end) .. '"'
end

-- costs: of a call of each kernel, or nil where nobody measured them all; sparse: { name =, break_even = } or nil.
local function line(role, m, k, group, names, costs, sparse)
  local quoted = {}
  for i, n in ipairs(names) do quoted[i] = c_string(n) end
  return ("    {%s, %d, %d, %d, {%s}, {%s}, %s, %.4f},"):format(c_string(role), m, k, group,
    #quoted > 0 and table.concat(quoted, ", ") or "NULL", table.concat(costs or { "0" }, ", "),
    sparse and c_string(sparse.name) or "NULL", sparse and sparse.break_even or 0)
end

local function count(v, most) return type(v) == "number" and v % 1 == 0 and v >= 1 and v <= most end

local roles = { qkv = true, o = true, gate_up = true, down = true }

-- Who works on a phase, as the table says; what it does not say, or not well, is left to the engine.
local function team(t)
  t = type(t) == "table" and t or {}
  return ("{%d, %s}"):format(count(t.threads, 512) and t.threads or 0, tostring(t.pinned == true))
end

local function setting(t)
  return ("{{%s, %s}, %s}"):format(team(t.decode), team(t.prompt), tostring(t.huge ~= false))
end

-- The point of a job's sparse kernel, or nil and why it cannot be used.
local function sparse_point(job, arch)
  local s = job.sparse
  if s == nil then return nil end
  local point, why = name.parse(type(s) == "table" and s.name)
  if not point then return nil, why end
  if type(s.break_even) ~= "number" or s.break_even < 0 or s.break_even > 1 then return nil, "no break-even" end
  local isa = space.isa(point.isa)
  if isa.arch ~= arch and isa.arch ~= "any" then return nil, isa.name .. " is not of " .. arch end
  local k = emit.kernel(point)
  if k.kind ~= space.sparse[job.role] then return nil, k.name .. " is not for this role" end
  if k.hash ~= s.hash then return nil, k.name .. " has changed since it was measured" end
  return point
end

-- The points of one job of the table, or nil and why it cannot be used.
local function job_points(job, arch)
  if type(job) ~= "table" or not roles[job.role] or not count(job.m, 2 ^ 30) or not count(job.k, 2 ^ 30) then
    return nil, "a job without role, m and k"
  end
  local label, group = ("%s %dx%d"):format(job.role, job.m, job.k), job.group or 0
  local points, why = plan_of.points(job.kernels, group, function(isa)
    return isa.arch ~= arch and isa.arch ~= "any" and isa.name .. " is not of " .. arch or nil
  end)
  if not points then return nil, label .. ": " .. why end
  return points, label
end

local function read(path)
  local f, message = io.open(path, "rb")
  if not f then return nil, message end
  local text = f:read(literal.most_bytes + 1)
  f:close()
  local value
  value, message = literal.read(text or "")
  if type(value) == "table" and type(value.jobs) == "table" and type(value.cpu) == "string" then return value end
  return nil, path .. ": " .. (message or "expected cpu and jobs") .. "; tune again to replace it"
end

-- What a call of each of a job's kernels costs, in ns; nil unless all were measured.
local function costs_of(job)
  local costs = {}
  for i, entry in ipairs(job.kernels) do
    if not count(entry.call_ns, 2 ^ 40) then return nil end
    costs[i] = ("%.0f"):format(entry.call_ns)
  end
  return costs
end

-- Appends the table's winners to `plan` and returns its lines, notes on what was left out, and the table.
local function tuned(arch, plan, path)
  local lines, notes = {}, {}
  local t, message = read(path)
  if not t then return lines, { message } end
  if t.arch ~= arch then return lines, { path .. ": made for " .. tostring(t.arch) .. ", not " .. arch } end
  for _, job in ipairs(t.jobs) do
    local points, label = job_points(job, arch)
    if points then
      local names = {}
      for i, p in ipairs(points) do names[i], plan[#plan + 1] = name.of(p), p end
      local skipping, why = sparse_point(job, arch)
      plan[#plan + 1] = skipping
      if why then notes[#notes + 1] = ("%s: %s: its sparse kernel is left out (%s)"):format(path, label, why) end
      lines[#lines + 1] = line(job.role, job.m, job.k, job.group or 0, names, costs_of(job), skipping and job.sparse)
    else
      notes[#notes + 1] = ("%s: left out (%s); its default runs until you tune again"):format(path, label)
    end
  end
  return lines, notes, t
end

local function sparse_defaults(arch)
  local lines = {}
  for _, isa in ipairs(space.isas(arch)) do
    for _, role in ipairs { "gate_up", "down" } do
      local family = space.family(space.sparse[role])
      local p = space.defaults(family.name, isa)[1]
      if p then
        lines[#lines + 1] = line(role, 0, 0, 0, {}, nil, { name = name.of(p), break_even = family.break_even })
      end
    end
  end
  return table.concat(lines, "\n")
end

local function names_of(points)
  local names = {}
  for i, p in ipairs(points) do names[i] = name.of(p) end
  return names
end

-- The text of dispatch_table.c; the winners of the table at `path` (nil: none) join `plan`.
function choose.tables(arch, plan, path)
  local defaults, smallest, structured = {}, {}, {}
  local function add(list, isa, group, names)
    if #names > 0 then list[#list + 1] = line(isa, 0, 0, group, names) end
  end
  for _, isa in ipairs(space.isas(arch)) do
    for _, group in ipairs(untuned.groups()) do add(defaults, isa, group, names_of(untuned.points(isa, group))) end
    add(smallest, isa, 0, names_of(untuned.smallest(isa)))
    add(structured, isa, 0, names_of(untuned.structured(isa)))
  end
  local lines, notes, t = {}, {}, nil
  if path then lines, notes, t = tuned(arch, plan, path) end
  return ([[
/* What runs where - generated, do not edit. */
#include "kernels/dispatch.h"

const char tri_tuned_cpu[] = %s;

const struct tri_setting tri_tuned_setting = %s;

const struct tri_choice tri_choices[] = {
%s
    {0},
};

const struct tri_choice tri_defaults[] = {
%s
    {0},
};

const struct tri_choice tri_smallest[] = {
%s
    {0},
};

const struct tri_choice tri_structured[] = {
%s
    {0},
};

const struct tri_choice tri_sparse_defaults[] = {
%s
    {0},
};
]]):format(c_string(t and t.cpu or ""), setting(t or {}), table.concat(lines, "\n"),
    table.concat(defaults, "\n"), table.concat(smallest, "\n"), table.concat(structured, "\n"),
    sparse_defaults(arch)), notes
end

return choose
