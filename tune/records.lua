-- records: files of measurements that come from elsewhere: what in them may be trusted, whose they are, and how two
-- of them become one. Nothing of a record becomes a path or a command but a CPU's slug.

local json = require "cjson"
local linux = require "linux"
local host = require "host"
local name = require "name"
local store = require "store"

local records = {}

-- JSON with its keys in order: the same record is the same line.
function records.line(value)
  if type(value) ~= "table" then return json.encode(value) end
  local parts = {}
  if #value > 0 then
    for i, v in ipairs(value) do parts[i] = records.line(v) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = tostring(key) end
  table.sort(keys)
  for i, key in ipairs(keys) do parts[i] = json.encode(key) .. ":" .. records.line(value[key]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- The folder's name for a CPU, or nil if it would be none.
function records.slug(cpu)
  if type(cpu) ~= "string" or #cpu > 319 or cpu:find("%c") then return nil end
  local slug = host.slug(cpu)
  return #slug <= 80 and slug:match("^%w[%w%-]*$") or nil
end

local function trusted(record)
  return record.name == nil or name.parse(record.name) ~= nil
end

-- The CPU that all runs and heads of a store are of, or nil and why there is no such.
local function cpu_of(s)
  local cpu = s.export and s.export.cpu
  for _, run in ipairs(s.runs) do
    if cpu and run.cpu ~= cpu then return nil, ("measurements of two CPUs, %s and %s"):format(cpu, run.cpu) end
    cpu = run.cpu
  end
  if not cpu then return nil, "does not say of which CPU it is" end
  if not records.slug(cpu) then return nil, "the name of its CPU is none" end
  return cpu
end

-- A file's valid records: { cpu, list, left_out = lines that were none, export }, or nil and one sentence.
function records.load(path)
  local text, why = linux.read(path)
  if not text then return nil, why end
  local all, torn = store.records(text)
  local fine = {}
  for _, record in ipairs(all) do if trusted(record) then fine[#fine + 1] = record end end
  local s, bad = store.of(fine)
  local cpu
  cpu, why = cpu_of(s)
  if not cpu then return nil, path .. ": " .. why end
  return { cpu = cpu, list = s.valid, export = s.export, left_out = torn + bad + #all - #fine }
end

-- The lines of `list` whose record is not in `has` (a set of lines, which grows); heads of exports are no samples.
function records.new_lines(list, has)
  local lines = {}
  for _, record in ipairs(list) do
    local line = records.line(record)
    if record.kind ~= "export" and not has[line] then
      has[line] = true
      lines[#lines + 1] = line .. "\n"
    end
  end
  return lines
end

-- The first line of a file of measurements that travels; machine: the text of machine.txt, or nil.
function records.head(cpu, machine)
  return records.line { kind = "export", cpu = cpu, slug = records.slug(cpu), machine = machine } .. "\n"
end

-- Text to a file, or to whoever prints what a command returns.
function records.deliver(path, text, said)
  if not path then return text end
  local ok, why = linux.replace(path, text)
  if not ok then return nil, why end
  return said
end

return records
