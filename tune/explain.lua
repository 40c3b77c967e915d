-- explain: why each job of this machine's table has the kernel it has, from the table and the recorded samples.

local host = require "host"
local linux = require "linux"
local dispatch = require "dispatch"
local store = require "store"
local replay = require "replay"
local name = require "name"
local race = require "race"
local bound = require "bound"
local records = require "records"
local state = require "state"
local screen = require "screen"

local explain = { summary = "Why each job of this machine's table has its kernel." }

function explain.options(parser)
  parser:argument("job", "As in 'down', 'down 2560x6912', '2560x6912' (default: all)."):args("*"):argname("JOB")
  parser:flag("--json", "As JSON.")
end

-- -- facts -------------------------------------------------------------------------------------------------

local function wanted(job, words)
  for word in table.concat(words, " "):gmatch("%S+") do
    if not (" " .. dispatch.key(job) .. " "):find(" " .. word .. " ", 1, true) then return false end
  end
  return true
end

-- What the samples say of a job whose kernel they also choose; else the reason they are silent.
local function add_samples(fact, decided)
  local other = decided and decided.kernels[1]
  if not other then
    fact.note = "its samples are not here"
  elseif other.name ~= fact.kernel then
    fact.note = "what is recorded by now speaks for " .. other.name
  else
    fact.samples, fact.tried, fact.left = #other.samples, decided.tried, decided.left
    fact.default_ns, fact.failed = decided.usual_ns, decided.failed
    fact.confidence, fact.state = other.confidence, decided.state
  end
end

local function fact_of(threads, job, decided, mhz)
  local k = job.kernels[1]
  local fact = { role = job.role, m = job.m, k = job.k, group = job.group,
    layout = k.name:match("^%a+_(%w+)_"), kernel = k.name, ns = k.ns,
    bytes = k.bytes, gbps = k.gbps, share = k.share, runner_up = k.runner_up, margin = k.margin, gain = job.gain,
    default_ns = job.gain and k.ns * job.gain, threads = threads }
  for i = 2, #job.kernels do
    fact.batches = fact.batches or {}
    fact.batches[#fact.batches + 1] = { tokens = job.kernels[i].tokens, kernel = job.kernels[i].name,
      ns = job.kernels[i].ns }
  end
  local s = job.sparse
  fact.sparse = s and { kernel = s.name, break_even = s.break_even, at = s.at }
  add_samples(fact, decided)
  fact.limit = bound.of(k, job, threads, mhz)
  return fact
end

local function are_numbers(t, required, optional)
  for _, key in ipairs(required) do if type(t[key]) ~= "number" or t[key] <= 0 then return false end end
  for _, key in ipairs(optional) do if t[key] ~= nil and type(t[key]) ~= "number" then return false end end
  return true
end

local function sound_sparse(s)
  if s == nil then return true end
  if type(s.break_even) ~= "number" or type(s.at) ~= "table" then return false end
  for _, p in ipairs(s.at) do
    if type(p) ~= "table" or not are_numbers(p, { "active", "ns", "dense_ns" }, {}) then return false end
  end
  return true
end

-- Jobs of a table that are what the tuner writes.
local function sound(job)
  if not dispatch.current(job) or not are_numbers(job, { "m", "k" }, { "gain", "group" }) then return false end
  if not sound_sparse(job.sparse) then return false end
  for i, k in ipairs(job.kernels) do
    local required = i == 1 and { "ns", "tokens", "gbps", "bytes" } or { "ns", "tokens" }
    if not are_numbers(k, required, { "share", "margin" }) then return false end
    if k.runner_up ~= nil and not name.parse(k.runner_up) then return false end
  end
  return type(job.role) == "string" and job.role:match("^[%w_]+$") ~= nil
end

-- One fact for each job of the table that `words` name. kept: the samples, or nil; mhz: the clock, or nil.
function explain.facts(t, kept, words, mhz)
  local decided, list, threads = {}, {}, type(t.threads) == "number" and t.threads > 0 and t.threads or 1
  for _, job in ipairs(kept and (replay.decide(kept) or { jobs = {} }).jobs or {}) do
    decided[dispatch.key(job)] = job
  end
  for _, job in ipairs(t.jobs) do
    if sound(job) and wanted(job, words) then
      list[#list + 1] = fact_of(threads, job, decided[dispatch.key(job)], mhz)
    end
  end
  return list
end

-- -- text --------------------------------------------------------------------------------------------------

local widest = 100

-- "  label   words", broken at spaces so that every line fits.
local function row(label, text, width) return screen.wrapped(("  %-11s"):format(label), text, width) .. "\n" end

local function sureness(confidence)
  return confidence >= 0.95 and "sure" or confidence >= 0.75 and "likely" or confidence > 0.25 and "a toss-up"
    or "not for its speed"
end

local function runner_up(f)
  if not f.runner_up then return "none was measured beside it" end
  local text = ("%s, %+.1f%%"):format(f.runner_up, 100 * (f.margin or 0))
  if (f.margin or 0) <= -race.noise then text = text .. " (faster, but worse at prompts)"
  elseif (f.margin or 0) < 0 then text = text .. " (faster, but within noise, and not simpler)" end
  if f.confidence then
    text = ("%s; %s: the choice stays ahead in %.0f%% of resamples"):format(text, sureness(f.confidence),
      100 * f.confidence)
  end
  return text
end

local function sparse_of(s)
  local parts = {}
  for i, p in ipairs(s.at) do parts[i] = ("%.0f%%: %.2f"):format(100 * p.active, p.ns / p.dense_ns) end
  return ("%s, faster where less than %.0f%% is active; its time over the dense kernel's at %s"):format(s.kernel,
    100 * s.break_even, table.concat(parts, ", "))
end

-- Rows of a fact: { label, words }.
local function rows_of(f)
  local rows = { { "choice", f.kernel } }
  local function add(label, format, ...) rows[#rows + 1] = { label, format:format(...) } end
  add("speed", "%.0f ns for %d bytes: %.1f GB/s%s, %d threads", f.ns, f.bytes, f.gbps,
    f.share and (", %.0f%% of what reading alone reached"):format(100 * f.share) or "", f.threads)
  add("runner-up", "%s", runner_up(f))
  add("limited by", "%s (an estimate)", f.limit)
  if f.default_ns then add("default", "%.0f ns, %.2f times as long", f.default_ns, f.default_ns / f.ns) end
  if f.tried then
    add("candidates", "%d timed, %d failed, %d left for lack of time", f.tried, f.failed or 0, f.left)
    add("machine", "%s while this was measured", state.explained(f.state))
  end
  for _, b in ipairs(f.batches or {}) do add(b.tokens .. " tokens", "%s, %.0f ns", b.kernel, b.ns) end
  if f.sparse then add("sparse", "%s", sparse_of(f.sparse)) end
  if f.note then add("note", "%s", f.note) end
  return rows
end

-- width: columns (default and at most 100).
function explain.text(facts, width)
  local parts = {}
  width = math.min(width or widest, widest)
  for i, f in ipairs(facts) do
    local lines = { dispatch.key(f) .. "\n" }
    for _, r in ipairs(rows_of(f)) do lines[#lines + 1] = row(r[1], r[2], width) end
    parts[i] = table.concat(lines)
  end
  return table.concat(parts, "\n")
end

-- -- the command -------------------------------------------------------------------------------------------

local function clock(folder)
  return tonumber((linux.read(folder .. "/machine.txt") or ""):match("clock, MHz%s+([%d.]+)"))
end

function explain.run(o)
  local folder = o.results .. "/" .. host.slug(o.cpu or host.cpu())
  local t, why = dispatch.read(folder .. "/dispatch.lua")
  if not t then return nil, why or folder .. "/dispatch.lua: no such file; luajit tune/tune.lua makes it" end
  local kept = store.load(folder .. "/measurements.jsonl")
  local facts = explain.facts(t, kept, o.job, clock(folder))
  if #facts == 0 then return nil, ("no job '%s' in %s/dispatch.lua"):format(table.concat(o.job, " "), folder) end
  if o.json then return records.line(facts) .. "\n" end
  return explain.text(facts, screen.width(1))
end

return explain
