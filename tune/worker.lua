-- worker: the child process that runs candidates: requests and answers are lines of JSON (measure.lua). What a
-- candidate breaks, it breaks here.
--   luajit worker.lua ROOT LIBTRI_TUNE THREADS

local root, library, threads = arg[1], arg[2], tonumber(arg[3])
package.path = root .. "tune/?.lua;" .. package.path

local ffi = require "ffi"
local json = require "cjson"
local native = require "native"

local tri = native.runtime(root, library)
local problem = ffi.new("struct tri_error")
local loaded, timing = {}, nil

local function check(status)
  if status ~= tri.TRI_OK then error(ffi.string(problem.text), 0) end
end

local function clock()
  if not timing then
    timing = tri.tri_timing_new(threads, problem)
    if timing == nil then
      timing = nil
      check(tri.TRI_FAILED)
    end
  end
  return timing
end

local answer = {}

-- What this machine and this build are; nothing is started yet.
function answer.hello()
  local isas = {}
  local i = 0
  while tri.tri_isas[i].name ~= nil do
    if tri.tri_isas[i].present() then isas[#isas + 1] = ffi.string(tri.tri_isas[i].name) end
    i = i + 1
  end
  return { cpu = ffi.string(tri.tri_cpu_name()), arch = ffi.string(tri.tri_arch()), cores = tri.tri_cores(),
    hardware_threads = tri.tri_hardware_threads(), isas = isas }
end

-- The state of the machine: what rotates, and what reading and computing reach, alone and together.
function answer.machine()
  local t = clock()
  return { memory = tonumber(tri.tri_timing_memory(t)), cache = tonumber(tri.tri_timing_cache(t)),
    read1 = tri.tri_timing_read(t, 1, 0), read = tri.tri_timing_read(t, threads, 0),
    registers1 = tri.tri_timing_registers(t, 1), registers = tri.tri_timing_registers(t, threads) }
end

-- What is timed rotates through so many bytes; the cache that is really ours.
function answer.memory()
  return { memory = tonumber(tri.tri_timing_memory(clock())), cache = tonumber(tri.tri_timing_cache(clock())) }
end

function answer.read(q)
  tri.tri_timing_use(clock(), q.threads or 0)
  return { gbps = tri.tri_timing_read(clock(), q.threads or threads, q.span) }
end

function answer.peak(q)
  local i = 0
  while tri.tri_peaks[i].isa ~= nil do
    local peak = tri.tri_peaks[i]
    if ffi.string(peak.isa) == q.isa and ffi.string(peak.family) == q.family and tri.tri_isa_find(q.isa).present() then
      tri.tri_timing_use(clock(), q.threads)
      return { gops = tri.tri_timing_peak(clock(), peak, q.threads) }
    end
    i = i + 1
  end
  error(("no peak of %s on %s is linked"):format(q.family, q.isa), 0)
end

local kinds = {}
for _, kind in ipairs { "matmul", "grouped", "rows", "columns" } do
  kinds[tonumber(ffi.cast("int", ffi.new("enum tri_kind", "TRI_KIND_" .. kind)))] = kind
end

-- The kernels linked that this CPU has, as candidates which need not be built (candidates.lua).
function answer.linked()
  local list, i = {}, 0
  while tri.tri_kernels[i].name ~= nil do
    local k = tri.tri_kernels[i]
    local l = tri.tri_layout_find(k.layout)
    list[#list + 1] = tri.tri_isa_find(k.isa).present() and { name = ffi.string(k.name), isa = ffi.string(k.isa),
      form = ffi.string(k.form), kind = kinds[tonumber(k.kind)], tokens = k.tokens, group = k.group, kmax = k.kmax,
      table_bytes = k.table_bytes, linked = true, hash = "linked " .. ffi.string(k.name),
      layout = { name = ffi.string(l.name), rows = l.rows, kstep = l.kstep, bytes = l.bytes } } or nil
    i = i + 1
  end
  return { cpu = ffi.string(tri.tri_tuned_cpu), kernels = list }
end

local function linked(c)
  return { names = c, kernel = tri.tri_kernel_find(c.name), layout = tri.tri_layout_find(c.layout.name) }
end

-- A process may use some units only after it has asked the system, which `present` does.
function answer.load(q)
  local isa = tri.tri_isa_find(q.candidate.isa)
  if isa == nil or not isa.present() then error("this CPU or its system lacks " .. q.candidate.isa, 0) end
  loaded[q.candidate.hash] = (q.candidate.linked and linked or native.candidate)(q.candidate)
  return {}
end

-- Tails in every dimension, a row of a real model, and a length at which 16-bit sums would overflow.
function answer.verify(q)
  local c = loaded[q.hash]
  local rows, step = c.layout.rows, c.layout.kstep
  local shapes = { { rows + 1, 1 }, { 1, step - 1 }, { 2 * rows - 1, step + 1 }, { 2 * rows + 5, 2560 },
    { rows + 3, 13000 } }
  local case = ffi.new("struct tri_case")
  for i, shape in ipairs(shapes) do
    for pattern = 0, tonumber(tri.TRI_PATTERNS) - 1 do
      case.m, case.k, case.pattern, case.seed = shape[1], shape[2], pattern, 1000 * i + pattern
      if c.names.kind == "columns" then case.m, case.k = shape[2], shape[1] end -- the tails of columns are rows
      local status = tri.tri_verify(c.kernel, c.layout, case, problem)
      if status ~= tri.TRI_UNSUPPORTED then check(status) end -- K beyond kmax: another job's problem
    end
  end
  return {}
end

local function fill_plan(plan, hashes, costs)
  plan.layout, plan.count = loaded[hashes[1]].layout, #hashes
  for i, hash in ipairs(hashes) do
    plan.kernels[i - 1], plan.cost[i - 1] = loaded[hash].kernel, math.ceil(costs and costs[i] or 0)
  end
  tri.tri_plan_cut(plan)
end

local function job_of(q)
  local job = ffi.new("struct tri_timing_job")
  job.m, job.k, job.tokens, job.span = q.m, q.k, q.tokens, q.span
  if q.active then
    local c = loaded[q.hashes[1]]
    job.active, job.plan.sparse.kernel, job.plan.sparse.layout = q.active, c.kernel, c.layout
    return job
  end
  fill_plan(job.plan, q.hashes, q.costs)
  return job
end

function answer.time(q)
  local ns = ffi.new("double[1]")
  check(tri.tri_timing_run(clock(), job_of(q), q.seconds, ns, problem))
  return { ns = ns[0] }
end

-- Exactly q.matrices, on the first q.threads threads (nil: all): the seconds of all, and of all processors.
function answer.count(q)
  local seconds = ffi.new("double[1]")
  tri.tri_timing_use(clock(), q.threads or 0)
  local cpu = os.clock()
  check(tri.tri_timing_count(clock(), job_of(q), q.matrices, seconds, problem))
  return { seconds = seconds[0], cpu = os.clock() - cpu }
end

-- -- the forward pass ---------------------------------------------------------------------------------------

local trials, team_pool, roles = {}, nil, {}
for i = 0, tonumber(tri.TRI_ROLES) - 1 do roles[ffi.string(tri.tri_role_names[i])] = i end
local phases = { decode = tri.TRI_DECODE, prompt = tri.TRI_PROMPT }

local function pool_of(n)
  team_pool = team_pool or tri.tri_pool_new(n, problem)
  if team_pool == nil then check(problem.status) end
  return team_pool
end

-- model: as in shapes.lua; plans: { hashes, costs } by role; prompt: tokens; threads: of the pool, the first time.
function answer.trial(q)
  local synth, m = ffi.new("struct tri_synth"), q.model
  local c = synth.config
  c.family = tri.tri_family_find(m.arch or "bitnet-b1.58")
  c.layers, c.hidden, c.ffn, c.heads, c.kv_heads = m.layers, m.hidden, m.ffn, m.heads, m.kv
  c.head_dim, c.rope_dims, c.vocab, c.context = m.head, m.head, m.vocab, 2 * q.prompt
  c.rope_theta, c.norm_eps = 10000, 1e-5
  tri.tri_synth_usual(synth)
  for role, p in pairs(q.plans) do fill_plan(synth.plan[roles[role]], p.hashes, p.costs) end
  tri.tri_huge_pages(q.huge)
  local trial = tri.tri_trial_new(synth, q.prompt, pool_of(q.threads), problem)
  tri.tri_huge_pages(true)
  if trial == nil then check(problem.status) end
  trials[q.name] = trial
  return {}
end

-- One sample: nanoseconds per token, and a hash of the logits.
function answer.run(q)
  local ns, team = ffi.new("double[1]"), ffi.new("struct tri_team", { q.threads, q.pinned })
  check(tri.tri_trial_run(trials[q.name], phases[q.phase], team, q.seconds, ns, problem))
  return { ns = ns[0], bits = ("%s"):format(tri.tri_trial_bits(trials[q.name], phases[q.phase])) }
end

function answer.forget()
  for _, trial in pairs(trials) do tri.tri_trial_free(trial) end
  tri.tri_pool_free(team_pool)
  trials, team_pool = {}, nil
  return {}
end

io.stdout:setvbuf("no")
for line in io.stdin:lines() do
  local q = json.decode(line)
  local ok, result = pcall(answer[q.op], q)
  io.stdout:write(json.encode(ok and result or { wrong = tostring(result) }), "\n")
end
