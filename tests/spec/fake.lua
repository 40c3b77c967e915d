-- fake: what specs of the tuner share: commands, folders that go away, and searches whose kernels need neither
-- compiler nor clock.

local linux = require "linux"
local store = require "store"
local emit = require "emit"
local name = require "name"
local candidates = require "candidates"
local measure = require "measure"
local search = require "search"

local fake = {}

-- What a command says, and its status.
function fake.run(command)
  local pipe = io.popen("(" .. command .. ") 2>&1; echo status $?")
  local text = pipe:read("*a")
  pipe:close()
  return text:match("^(.*)status (%d+)\n$")
end

local folders = {}

function fake.folder()
  local path = os.tmpname()
  os.remove(path)
  assert(linux.mkdir(path, 448))
  folders[#folders + 1] = path
  return path
end

function fake.clean()
  for _, path in ipairs(folders) do os.execute("rm -rf '" .. path .. "'") end
end

function fake.write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

function fake.read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("*a")
  f:close()
  return text
end

-- Kernels take time to write: here each is written once for all searches.
local write_kernel, written = emit.kernel, {}
function emit.kernel(point)
  local text = name.of(point)
  written[text] = written[text] or write_kernel(point)
  return written[text]
end

local ready, time = candidates.ready, measure.time

function fake.restore() candidates.ready, measure.time = ready, time end

-- A search over the results in `path`; times(point, tokens, job): how long a candidate takes. Until fake.restore.
function fake.searching(path, times, objective, isas)
  candidates.ready = function(s, list)
    for _, c in ipairs(list) do
      if not candidates.proven(s, c) and not c.failed then
        c.so, c.right = "none", true
        store.add(s.store, { kind = "check", name = c.name, hash = c.hash, compiler = "cc" })
      end
      c.so = "none"
    end
  end
  measure.time = function(_, kernels, job, tokens) return times(kernels[1].point, tokens, job) end
  local kept = store.open(path)
  local pool = candidates.new { present = { "c", "avx2" }, isas = isas, families = { "mad", "lut" }, store = kept,
    compiler = "cc" }
  return search.new { pool = pool, store = kept, compiler = "cc", threads = 2, objective = objective,
    hinted = function() return {} end, progress = function() end,
    machine = { memory = 2 ^ 28, read_of = function() return 10 end } }
end

-- One kernel is twice as fast as all others; batches cost less the larger they are.
function fake.known_best(point, tokens)
  if tokens > 1 then return 100 / (point.n or 1) + (point.r or 0) / 1000 end
  local best = point.family == "mad" and point.r == 32 and point.m == 16 and point.a == 2
  return (best and 500 or 1000) * (1 + math.abs(point.p - 128) / 10000) * (1 + point.u / 50)
end

-- A run over jobs as tune.lua makes it, in `path`: its choices. cpu: whose; times: as above.
function fake.tuned(path, cpu, jobs, times)
  local s = fake.searching(path, times or fake.known_best, "balanced")
  s.pool.families = { "mad" }
  local run = { kind = "run", id = "run " .. cpu, cpu = cpu, arch = "x86_64", compiler = "cc", threads = 2,
    objective = "balanced", memory = 2 ^ 28, present = s.pool.present, isas = s.pool.isas, jobs = jobs }
  store.add(s.store, run)
  store.add(s.store, { kind = "read", run = run.id, span = 0, gbps = 200 })
  local choices = {}
  for i, job in ipairs(jobs) do choices[i] = search.job(s, job, {}, math.huge) end
  store.close(s.store)
  fake.restore()
  return choices
end

return fake
