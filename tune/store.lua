-- store: what was ever measured here: measurements.jsonl, one JSON object a line, appended under a lock, never
-- rewritten. Samples of the same kernel text, compiler, job and threads count again; nothing else does.

local json = require "cjson"
local linux = require "linux"

local store = {}

-- What identifies a set of samples. stage: samples were taken interleaved with the others of their stage.
local key_fields = { "kind", "stage", "m", "k", "span", "threads", "hash", "compiler" }

function store.key(record)
  local parts = {}
  for i, field in ipairs(key_fields) do parts[i] = tostring(record[field] or "") end
  return table.concat(parts, "|")
end

local function numbers(list)
  if type(list) ~= "table" then return false end
  for _, ns in ipairs(list) do if type(ns) ~= "number" or ns <= 0 then return false end end
  return true
end

local function take(s, record)
  local key = store.key(record)
  if record.kind == "machine" then return true
  elseif record.kind == "check" then s.checks[key] = record.failed or true
  elseif numbers(record.ns) then
    s.samples[key] = record.anew and {} or s.samples[key] or {}
    for _, ns in ipairs(record.ns) do table.insert(s.samples[key], ns) end
  else return false end
  return true
end

local function read(s, text)
  local bad = 0
  for line in text:gmatch("[^\n]+") do
    local ok, record = pcall(json.decode, line)
    if not (ok and type(record) == "table" and take(s, record)) then bad = bad + 1 end
  end
  return bad
end

-- Opens folder/measurements.jsonl, making both if need be: the store, and how many of its lines made no sense
-- (torn by a crash, say). nil and why, if it cannot be written.
function store.open(folder)
  local ok, why = linux.mkdir(folder, 493) -- rwxr-xr-x
  if not ok then return nil, why end
  local path = folder .. "/measurements.jsonl"
  local fd
  fd, why = linux.append_open(path)
  if not fd then return nil, why end
  local s = { path = path, fd = fd, samples = {}, checks = {} }
  local text
  text, why = linux.read(path)
  if not text then return nil, why end
  return s, read(s, text)
end

function store.close(s) linux.close(s.fd) end

-- Appends one record: those of key_fields, and name, ns (a list) or failed (why). Raises if it cannot.
function store.add(s, record)
  record.at = linux.stamp()
  local ok, why = linux.append(s.fd, json.encode(record) .. "\n")
  if not ok then error(s.path .. ": " .. why .. "; samples so far are safe", 0) end
  take(s, record)
end

-- Earlier samples of a record's key, or nil.
function store.samples(s, record) return s.samples[store.key(record)] end

-- true, why it failed, or nil: never checked.
function store.checked(s, record) return s.checks[store.key(record)] end

return store
