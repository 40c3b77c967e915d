-- import: measurements from elsewhere into results/: to those of the same CPU, each record once. What another
-- machine proved right or wrong does not come along: kernels are proven where they run.

local linux = require "linux"
local store = require "store"
local records = require "records"

local import = { summary = "Takes the measurements of a file into the folder of their CPU." }

function import.options(parser) parser:argument("file", "What export wrote."):argname("FILE") end

local function measured(list)
  local out = {}
  for _, record in ipairs(list) do if record.kind ~= "check" then out[#out + 1] = record end end
  return out
end

-- Under the lock: what is there cannot change between looking and appending. How many were new; nil and why.
local function append_new(s, list)
  return linux.locked(s.fd, function()
    local has = {}
    local text, why = linux.read(s.path)
    if not text then return nil, why end
    records.new_lines(store.records(text), has)
    local lines = records.new_lines(measured(list), has)
    local ok
    ok, why = linux.append_locked(s.fd, table.concat(lines))
    return ok and #lines, why
  end)
end

-- The description of a machine that has none here yet.
local function describe(folder, export)
  local path = folder .. "/machine.txt"
  if not export or type(export.machine) ~= "string" or linux.read(path) then return true end
  return linux.replace(path, (export.machine:sub(1, 8192):gsub("[^\n\32-\126]", "?")))
end

-- Nobody's measurements go to a folder in which others are.
local function owner_differs(path, cpu)
  local there, why = records.load(path)
  if there and there.cpu ~= cpu then return ("%s is of %s, not of %s"):format(path, there.cpu, cpu) end
  return not there and why:match("measurements of two CPUs.*") or nil
end

function import.run(o)
  local file, why = records.load(o.file)
  if not file then return nil, why end
  local folder = o.results .. "/" .. records.slug(file.cpu)
  why = owner_differs(folder .. "/measurements.jsonl", file.cpu)
  if why then return nil, why end
  local s
  s, why = store.open(folder)
  if not s then return nil, why end
  local added, ok
  added, why = append_new(s, file.list)
  store.close(s)
  if not added then return nil, why end
  ok, why = describe(folder, file.export)
  if not ok then return nil, why end
  return ("%s: %d new records of %s, %d lines make no sense here\n"):format(folder, added, file.cpu,
    file.left_out)
end

return import
