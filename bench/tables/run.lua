-- run: runs of tritune as child processes, with their files made before and their page cache as wanted. Owns what a
-- process may take and what its end means; leaves out when and why anything is run (collect.lua).

local json = require "cjson"
local linux = require "linux"
local collect = require "tables.collect"
local runs = require "tables.runs"

local run = {}

local NO_MEMORY, GRACE = 5, 5 -- tritune's exit code; seconds to end after being asked to

-- o: root (left out of commands that people read), scratch (a folder for files of a moment), receipts (a folder for
-- those of tritune bench; nil: it writes none).
function run.new(o) return { root = o.root, scratch = o.scratch, receipts = o.receipts, made = {} } end

-- -- processes ------------------------------------------------------------------------------------------------

local function ended(child, deadline)
  while not child.ended and linux.now() < deadline and not linux.interrupted() do linux.wait({ child }, deadline) end
  return child.ended
end

-- What a program printed, what it said on stderr, and its exit code; nil and why there is none. Ctrl-C is passed on.
local function call(r, words, deadline)
  local errors = r.scratch .. "/stderr"
  local child = linux.spawn { "sh", "-c", 'exec "$@" 2>"$0" </dev/null', errors, unpack(words) }
  if not ended(child, deadline) then
    linux.interrupt(child)
    local until_ = linux.now() + GRACE
    while not child.ended and linux.now() < until_ do linux.wait({ child }, until_) end
  end
  local kind, number = linux.reap(child, not child.ended)
  if linux.interrupted() then error(collect.interruption, 0) end
  if linux.now() >= deadline then return nil, "stopped, since it took longer than the budget left" end
  if kind == "signal" then return nil, ("ended by signal %d"):format(number) end
  return child.text, linux.read(errors) or "", number
end

local function last_line(text) return text:match("([^\n]+)%s*$") or "no word of why" end

-- -- files ----------------------------------------------------------------------------------------------------

-- Makes what a run needs, once; nil and why.
local function prepare(r, step, deadline)
  local there = r.made[step.makes] or not step.again and linux.read(step.makes, 1)
  if there then return true end
  local said, errors, status = call(r, step.words, deadline)
  if not said then return nil, errors end
  if status ~= 0 then
    return nil, runs.inside(r.root, ("%s cannot be made: %s"):format(step.makes, last_line(errors)))
  end
  r.made[step.makes] = true
  return true
end

local function read_whole(path)
  local f = io.open(path, "rb")
  while f and f:read(2 ^ 20) do end
  if f then f:close() end
end

local STAYS = 0.01 -- share of a file's pages that may stay in memory for it to be cold

-- A turn's file as it shall be found: out of memory, or in it. What could not be had is a notice.
local function arrange(t, notices)
  if t.cached then read_whole(t.cached) end
  local stays = t.forget and linux.forget(t.forget)
  if stays and stays > STAYS then
    notices[#notices + 1] = ("%s: %.0f %% of the file stayed in the page cache"):format(t.label, 100 * stays)
  end
end

-- -- a run ----------------------------------------------------------------------------------------------------

local function copied(words, ...)
  local out = { unpack(words) }
  for _, word in ipairs { ... } do out[#out + 1] = word end
  return out
end

-- Of what was said on stderr the notices, "PROGRAM: ...", each once; the rest is progress.
local function add_notices(r, notices, label, errors)
  for line in errors:gmatch("[^\r\n]+") do
    local text = (label ~= "" and label .. ": " or "") .. runs.inside(r.root, line):gsub("%c", " ")
    if line:match("^%a+: ") and not notices[text] then notices[#notices + 1], notices[text] = text, true end
  end
end

-- By the kind of a turn: what its command ends with, and where in what it prints rows are.
local kinds = {
  bench = { tail = function(t) return "-r", tostring(t.repetitions), "-o", "json" end,
    rows = function(said) return said end },
  kernels = { tail = function(t)
      return ("--benchmark_repetitions=%d"):format(t.repetitions), "--benchmark_enable_random_interleaving=true",
        "--benchmark_format=json"
    end, rows = function(said) return said.benchmarks end },
}

-- A receipt's file beside the record: samples and state of the one process. Words for its command.
local function receipt(r, x, i, round)
  if not r.receipts or x.turns[i].kind ~= "bench" then return end
  local turn = #x.turns > 1 and ("-%d"):format(i) or ""
  return "--report", ("%s/%s%s-%d.receipt.json"):format(r.receipts, x.id, turn, round)
end

local function rows_of(t, text)
  local ok, said = pcall(json.decode, text)
  local rows = ok and type(said) == "table" and kinds[t.kind].rows(said)
  return type(rows) == "table" and #rows > 0 and rows or nil
end

-- One process of a turn: its rows; "refused" and why, if memory is short; nil and why.
local function once(r, t, more, notices, deadline)
  arrange(t, notices)
  local said, errors, status = call(r, copied(copied(t.words, kinds[t.kind].tail(t)), unpack(more)), deadline)
  if not said then return nil, errors end
  if status == NO_MEMORY then return "refused", (runs.inside(r.root, last_line(errors)):gsub("%c", " ")) end
  if status ~= 0 then return nil, ("exit %d: %s"):format(status, runs.inside(r.root, last_line(errors))) end
  local rows = rows_of(t, said)
  if not rows then return nil, "what it printed is no JSON of rows" end
  add_notices(r, notices, t.label, errors)
  return rows
end

-- Takes turn i of run x in one more round: true, or nil and why.
local function take(r, x, i, out, deadline)
  local kept, t = out.turns[i], x.turns[i]
  if kept.refused then return true end
  local rows, why = once(r, t, { receipt(r, x, i, #kept.rounds + 1) }, out.notices, deadline)
  if not rows then return nil, why end
  if rows == "refused" then kept.rounds, kept.refused = nil, why
  else kept.rounds[#kept.rounds + 1] = rows end
  return true
end

local function started(r, x)
  local turns, command = {}, {}
  for i, step in ipairs(x.prepare or {}) do command[i] = runs.shown(r.root, step.words) end
  for i, t in ipairs(x.turns) do
    turns[i] = { label = t.label, rounds = {} }
    command[#command + 1] = runs.shown(r.root, copied(t.words, kinds[t.kind].tail(t)))
  end
  return { turns = turns, command = command, notices = {} }
end

-- Runs x (list.lua): { seconds, command, notices, turns } as keep.lua has them, or nil and why. deadline: of linux.now.
function run.measure(r, x, deadline)
  local begin, out = linux.now(), started(r, x)
  for _, step in ipairs(x.prepare or {}) do
    local ok, why = prepare(r, step, deadline)
    if not ok then return nil, why end
  end
  for _ = 1, x.rounds do
    for i, t in ipairs(x.turns) do
      local ok, why = take(r, x, i, out, deadline)
      if not ok then return nil, t.label == "" and why or t.label .. ": " .. why end
    end
  end
  out.notices = { unpack(out.notices) }
  out.seconds = linux.now() - begin
  return out
end

return run
