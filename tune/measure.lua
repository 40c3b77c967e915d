-- measure: candidates run in a child process (worker.lua). One that crashes or hangs takes the child along, not
-- the tuner: the candidate is a failure, and the next request has a new child.

local json = require "cjson"
local linux = require "linux"

local measure = {}

local said_of_candidates = { "name", "isa", "form", "kind", "tokens", "group", "kmax", "table_bytes", "symbol",
  "prepare", "hash", "layout", "linked" }

-- Thrown when Ctrl-C arrives while the child is at work.
measure.interruption = setmetatable({}, { __tostring = function() return "interrupted" end })

-- The runtime's library of that name ("tri_tune") in a build directory; nil and why not.
function measure.library(folder, name)
  local path = ("%s/lib%s.so"):format(folder, name)
  if linux.exists(path) then return path end
  return nil, path .. " is not built yet: cmake -S . -B build && cmake --build build"
end

-- o: root, library, threads; deadline: seconds that one request may take (default 30).
function measure.new(o)
  return { root = o.root, library = o.library, threads = o.threads, deadline = o.deadline or 30, loaded = {} }
end

function measure.close(m)
  if m.child then linux.reap(m.child, true) end
  m.child, m.loaded = nil, {}
end

local function child_of(m)
  if not m.child then
    m.loaded = {}
    m.child = linux.spawn { "luajit", m.root .. "tune/worker.lua", m.root, m.library, tostring(m.threads) }
  end
  return m.child
end

local function buried(m)
  local kind, number = linux.reap(m.child)
  m.child = nil
  if kind == "signal" then return "crash: signal " .. number end
  return "crash: exit " .. number
end

-- One question, one answer: the answer's table, or nil and why there is none.
function measure.ask(m, question, seconds)
  local child = child_of(m)
  local deadline = linux.now() + (seconds or m.deadline)
  local sent = linux.send(child, json.encode(question) .. "\n")
  while sent and not child.ended and not child.text:find("\n", 1, true) do
    local awake = linux.wait({ child }, deadline)
    if linux.interrupted() then
      measure.close(m)
      error(measure.interruption, 0)
    elseif not awake then
      measure.close(m)
      return nil, "timeout"
    end
  end
  local line, rest = child.text:match("^(.-)\n(.*)$")
  if not line then return nil, buried(m) end
  child.text = rest
  local answer = json.decode(line)
  if answer.wrong then return nil, answer.wrong end
  return answer
end

local function load(m, c)
  if m.loaded[c.hash] and m.child then return true end
  local said = { so = c.so }
  for _, key in ipairs(said_of_candidates) do said[key] = c[key] end
  local answer, why = measure.ask(m, { op = "load", candidate = said })
  m.loaded[c.hash] = answer and true
  return answer, why
end

local function load_all(m, kernels)
  local hashes = {}
  for i, c in ipairs(kernels) do
    local ok, why = load(m, c)
    if not ok then return nil, why end
    hashes[i] = c.hash
  end
  return hashes
end

-- nil if the candidate is right, else why it is not.
function measure.verify(m, c)
  local ok, why = load(m, c)
  if ok then ok, why = measure.ask(m, { op = "verify", hash = c.hash }) end
  return not ok and why or nil
end

-- Nanoseconds per matrix and token of `kernels` (one layout, ascending tokens) on job.m x job.k, or nil and why.
-- costs: of a call of each, to cut tokens by (default: those of a plan that was not measured).
function measure.time(m, kernels, job, tokens, seconds, costs)
  local hashes, why = load_all(m, kernels)
  if not hashes then return nil, why end
  local answer
  answer, why = measure.ask(m, { op = "time", hashes = hashes, m = job.m, k = job.k, tokens = tokens,
    span = measure.span(job, kernels[1].layout), seconds = seconds or 0.002, costs = costs,
    active = kernels[1].kind ~= "matmul" and job.active or nil })
  return answer and answer.ns, why
end

-- So many tokens, or the next multiple of what the kernel takes at once.
function measure.whole(c, tokens) return math.ceil(tokens / c.tokens) * c.tokens end

-- Bytes of a whole model of job.weights weights in this layout; 0: more than could matter.
function measure.span(job, layout)
  return job.weights and math.ceil(job.weights * layout.bytes / (layout.rows * layout.kstep)) or 0
end

-- Bytes of one packed matrix, with its scales if its columns share them.
function measure.bytes(job, layout)
  local tiles, groups = math.ceil(job.m / layout.rows), job.group and math.ceil(job.k / job.group) or 0
  return tiles * (math.ceil(job.k / layout.kstep) * layout.bytes + groups * layout.rows * 4)
end

-- A model under plans (by role kernels, and costs of their calls or nil) in the child, to be run by its name: true, or
-- nil and why not. o: model, prompt, threads, huge (worker.lua says what).
function measure.trial(m, label, plans, o)
  local said = {}
  for role, plan in pairs(plans) do
    local hashes, why = load_all(m, plan.kernels)
    if not hashes then return nil, why end
    said[role] = { hashes = hashes, costs = plan.costs }
  end
  return measure.ask(m, { op = "trial", name = label, model = o.model, plans = said, prompt = o.prompt,
    threads = o.threads, huge = o.huge }, 60)
end

-- GB/s of so many threads reading `span` bytes (0: all that rotate) and nothing else; throws why there is none.
function measure.read(m, threads, span)
  local answer, why = measure.ask(m, { op = "read", threads = threads, span = span })
  return answer and answer.gbps or error(why, 0)
end

-- 10^9 operations per second of so many threads in a family's loop in registers (tri_peaks); throws why there are none.
function measure.peak(m, family, isa, threads)
  local answer, why = measure.ask(m, { op = "peak", family = family, isa = isa, threads = threads })
  return answer and answer.gops or error(why, 0)
end

-- Exactly `matrices` of a row { kernels, job, tokens, threads (nil: all), span (0: all that rotates), active (of sparse
-- kernels) }: { seconds, cpu }, of all of them, or nil and why.
function measure.count(m, row, matrices, seconds)
  local hashes, why = load_all(m, row.kernels)
  if not hashes then return nil, why end
  return measure.ask(m, { op = "count", hashes = hashes, m = row.job.m, k = row.job.k, tokens = row.tokens,
    span = row.span, active = row.active, threads = row.threads, matrices = matrices }, seconds)
end

return measure
