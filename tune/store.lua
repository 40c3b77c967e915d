-- store: what was ever measured here: measurements.jsonl, one JSON object a line, appended under a lock, never
-- rewritten. Samples of the same kernel text, compiler, job and threads count again; nothing else does. Kinds:
--   decode, prompt   samples of a candidate: ns
--   race             whom a stage of a job compared: hashes, how many were left, and the machine's state if it was bad
--   check            a candidate was proven right, or why not
--   run              what a tuning run was to do, and where; read, machine: what memory and cores reach
--   trial            tables and settings on the forward pass: who took part, and nanoseconds per token (trial.lua)
--   export           the head of an exported file: CPU and machine.txt

local json = require("cjson").new()
local linux = require "linux"

local store = {}

json.decode_invalid_numbers(false)

-- What identifies a set of samples. stage: samples were taken interleaved with the others of their stage.
local key_fields = { "kind", "stage", "m", "k", "group", "span", "active", "threads", "hash", "compiler" }

function store.key(record)
  local parts = {}
  for i, field in ipairs(key_fields) do parts[i] = tostring(record[field] or "") end
  return table.concat(parts, "|")
end

local objectives = { decode = true, prompt = true, balanced = true }

local function positive(n) return type(n) == "number" and n > 0 and n < math.huge end
local function count(n) return positive(n) and n % 1 == 0 and n <= 2 ^ 30 end
local function text(v) return type(v) == "string" and not v:find("%c") end

local function each(list, is)
  if type(list) ~= "table" then return false end
  for _, v in ipairs(list) do if not is(v) then return false end end
  return true
end

local function is_job(v)
  return type(v) == "table" and text(v.role) and count(v.m) and count(v.k)
    and (v.weights == nil or positive(v.weights)) and (v.group == nil or count(v.group))
end

-- What a record of each kind must have, and what becomes of it.
local kinds = {}

local function samples_of(s, record, key)
  if not each(record.ns, positive) then return false end
  s.samples[key] = record.anew and {} or s.samples[key] or {}
  for _, ns in ipairs(record.ns) do table.insert(s.samples[key], ns) end
  if text(record.hash) and text(record.name) then s.names[record.hash] = record.name end
  if text(record.at) and record.at > s.newest then s.newest = record.at end
  return true
end

kinds.decode, kinds.prompt = samples_of, samples_of

function kinds.check(s, record, key)
  if record.failed ~= nil and type(record.failed) ~= "string" then return false end
  s.checks[key] = record.failed or true
  return true
end

function kinds.race(s, record, key)
  if not each(record.hashes, text) or type(record.left) ~= "number" then return false end
  if record.state ~= nil and not text(record.state) then return false end
  s.races[key] = record
  return true
end

function kinds.run(s, record)
  for _, field in ipairs { "id", "cpu", "arch", "compiler", "objective" } do
    if not text(record[field]) then return false end
  end
  if not (objectives[record.objective] and count(record.threads) and positive(record.memory)) then return false end
  if record.group ~= nil and not count(record.group) then return false end
  if not (each(record.present, text) and each(record.isas, text) and each(record.jobs, is_job)) then return false end
  if record.untuned ~= nil and not each(record.untuned, text) then return false end
  s.runs[#s.runs + 1] = record
  return true
end

function kinds.read(s, record)
  if not (text(record.run) and type(record.span) == "number" and positive(record.gbps)) then return false end
  local key = record.run .. " " .. record.span
  s.reads[key] = math.max(s.reads[key] or 0, record.gbps)
  return true
end

-- The best a machine with that many threads showed is what its later states are judged by.
function kinds.machine(s, record)
  local best = s.machines[record.threads or 0] or {}
  for _, field in ipairs { "registers1", "registers", "read" } do
    if record[field] ~= nil and not positive(record[field]) then return false end
    best[field] = math.max(best[field] or 0, record[field] or 0)
  end
  s.machines[record.threads or 0] = best
  return true
end

local function is_timed(v)
  return type(v) == "table" and each(v.decode, positive) and each(v.prompt, positive) and #v.decode > 0
    and #v.decode == #v.prompt
end

local function is_contestant(v)
  return is_timed(v) and text(v.label) and text(v.id) and type(v.bits) == "table" and text(v.bits.decode)
    and text(v.bits.prompt)
end

local function is_setting(v)
  return is_timed(v) and count(v.threads) and type(v.pinned) == "boolean" and type(v.huge) == "boolean"
end

function kinds.trial(s, record)
  if not (text(record.model) and text(record.compiler) and objectives[record.objective]) then return false end
  for _, field in ipairs { "threads", "layers", "of", "vocab", "prompt" } do
    if not count(record[field]) then return false end
  end
  if not each(record.contestants, is_contestant) or #record.contestants == 0 then return false end
  local settings = record.settings
  if settings ~= nil and not (each(settings, is_setting) and settings[1] and settings[1].huge) then return false end
  s.trials[#s.trials + 1] = record
  return true
end

function kinds.export(s, record)
  if not text(record.cpu) then return false end
  s.export = record
  return true
end

local function take(s, record)
  return kinds[record.kind] and kinds[record.kind](s, record, store.key(record)) or false
end

-- The records of a text, in the order of their times, and how many lines are none.
function store.records(lines)
  local records, place, bad = {}, {}, 0
  for line in lines:gmatch("[^\n]+") do
    local ok, record = pcall(json.decode, line)
    if ok and type(record) == "table" and kinds[record.kind] then
      records[#records + 1], place[record] = record, #records + 1
    else bad = bad + 1 end
  end
  table.sort(records, function(a, b)
    local at, bt = tostring(a.at or ""), tostring(b.at or "")
    if at ~= bt then return at < bt end
    return place[a] < place[b]
  end)
  return records, bad
end

-- A store of records that nothing is added to, and how many of them made no sense; valid: those that did.
function store.of(records)
  local s, bad = { samples = {}, checks = {}, races = {}, runs = {}, reads = {}, names = {}, machines = {}, trials = {},
    newest = "" }, 0
  s.valid = {}
  for _, record in ipairs(records) do
    if take(s, record) then s.valid[#s.valid + 1] = record else bad = bad + 1 end
  end
  return s, bad
end

-- What a file of measurements says, likewise; nil and why, if it cannot be read.
function store.load(path)
  local lines, why = linux.read(path)
  if not lines then return nil, why end
  local records, torn = store.records(lines)
  local s, bad = store.of(records)
  s.path = path
  return s, torn + bad
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
  local s
  s, why = store.load(path)
  if s then s.fd, s.valid = fd, nil end
  return s, why
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

-- How many candidates failed here.
function store.failures(s)
  local n = 0
  for _, state in pairs(s.checks) do if state ~= true then n = n + 1 end end
  return n
end

-- The last race of a record's key, or nil; the name a hash was measured under.
function store.race(s, record) return s.races[store.key(record)] end

function store.name(s, hash) return s.names[hash] end

-- The best that reading alone reached in a run over that many bytes (0: more than could matter), or nil.
function store.reading(s, run, span) return s.reads[run.id .. " " .. span] end

-- The best that a machine with that many threads ever showed: { registers1, registers, read }, or nil.
function store.best(s, threads) return s.machines[threads] end

-- true, why it failed, or nil: never checked.
function store.checked(s, record) return s.checks[store.key(record)] end

return store
