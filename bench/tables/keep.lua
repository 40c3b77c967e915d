-- keep: what was measured, one JSON file a run, so that it need not be measured again: which command, program and
-- machine it came from, and what was printed. Owns the files' form; leaves out what a run is for.
--   { id, key, program, machine, commit, at, seconds, repetitions, command = { ... }, notices = { ... },
--     turns = { { label, refused } or { label, rounds = { { row, ... }, ... } }, ... } }

local json = require("cjson").new()
local linux = require "linux"

local keep = {}

json.decode_invalid_numbers(false)

local function text(v) return type(v) == "string" and not v:find("%c") end
local function number(v) return type(v) == "number" and v >= 0 and v < math.huge end

local function each(list, is)
  if type(list) ~= "table" then return false end
  local n = 0
  for _ in pairs(list) do n = n + 1 end
  for i = 1, n do if list[i] == nil or not is(list[i]) then return false end end
  return true
end

local function is_row(v) return type(v) == "table" end
local function is_round(v) return each(v, is_row) and #v > 0 end
local function is_turn(v)
  return type(v) == "table" and text(v.label) and (text(v.refused) or each(v.rounds, is_round) and #v.rounds > 0)
end

-- What a file must hold to count: by field, what it must be.
local fields = { id = text, key = text, program = text, machine = text, commit = text, at = text, seconds = number,
  repetitions = number, command = function(v) return each(v, text) end, notices = function(v) return each(v, text) end,
  turns = function(v) return each(v, is_turn) and #v > 0 end }

function keep.path(folder, id) return ("%s/%s.json"):format(folder, id) end

local function fault(record)
  if type(record) ~= "table" then return "expected an object" end
  for _, field in ipairs { "id", "key", "program", "machine", "commit", "at", "seconds", "repetitions", "command",
    "notices", "turns" } do
    if not fields[field](record[field]) then return ("'%s' is not as it is written"):format(field) end
  end
end

-- The kept record of a run; nil: there is none; nil and why: there is one that does not count.
function keep.read(folder, id)
  local path = keep.path(folder, id)
  local said = linux.read(path)
  if not said then return nil end
  local ok, record = pcall(json.decode, said)
  if not ok then return nil, ("%s is no JSON; it is measured anew"):format(path) end
  local why = fault(record)
  if not why and record.id ~= id then why = ("it is of '%s'"):format(record.id) end
  if why then return nil, ("%s: %s; it is measured anew"):format(path, why) end
  return record
end

-- Written whole or not at all; nil and why.
function keep.write(folder, record) return linux.replace(keep.path(folder, record.id), json.encode(record) .. "\n") end

-- Whether a record of this run and machine is what `run` would give with these programs.
function keep.current(record, run, here)
  return record.program == here.programs[run.program] and record.repetitions >= run.repetitions
end

return keep
