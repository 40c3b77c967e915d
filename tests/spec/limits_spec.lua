-- How near kernels come to the machine, without a clock: which rows there are on which CPU, and that each is the share
-- it says it is, on invented times. That all of it runs for real is tests/cli/limits.sh.
package.path = "bench/?.lua;tune/?.lua;gen/?.lua;" .. package.path

local json = require "cjson"
local ceiling = require "ceiling"
local report = require "report"
local measure = require "measure"
local space = require "space"

local x86 = { "c", "ssse3", "avx2", "avxvnni", "avx512bw", "avx512vnni", "avx512vbmi" }
local READ, PEAK = 10, 100 -- GB/s; operations a nanosecond

-- What a kernel takes: a known share of READ for one token and of PEAK for more; tiles of 32 rows are best.
local share = { avx512vnni = 0.9, avx512vbmi = 0.8, avx2 = 0.7, amx = 0.6 }

local function invented(c, job, tokens)
  if c.name:match("^peak_") then return 2 * job.m * job.k / PEAK end
  local p = c.point
  local slow = 1 + 0.2 * math.abs(p.r - 32) / 32 + 0.01 * ((p.u or 1) - 1)
  if tokens == 1 then slow = slow + 0.2 * math.abs(p.m - 32) / 32 end
  local one = measure.bytes(job, c.layout) / (READ * share[p.isa]) * slow
  if tokens == 4 then return one / 4 / 0.95 end -- slower than one token by a twentieth
  return tokens == 1 and one or 2 * job.m * job.k / (PEAK * share[p.isa]) * slow
end

local whole -- what a machine that has everything gets, for those who only read it

-- A machine of `threads` times READ; o: present, cores; noise(): what slows it; prove(c): who is right.
local function machine(o)
  local b = { present = o.present, cores = o.cores or 2, budget = 60, memory = 1e9, opened = {}, asked = {} }
  local threads, clock = 1, 0
  function b.now()
    clock = clock + 0.0001
    return clock
  end
  function b.open(n)
    threads = n
    b.opened[#b.opened + 1] = n
  end
  function b.read()
    b.asked[#b.asked + 1] = "read"
    return READ * threads / (o.noise and o.noise() or 1)
  end
  function b.prove(list)
    local right = {}
    for _, c in ipairs(list) do if not o.prove or o.prove(c) then right[#right + 1] = c end end
    for _, c in ipairs(right) do c.proven = true end
    return right
  end
  function b.time(c, job, tokens)
    assert(c.proven or c.name:match("^peak_"), c.name .. " is timed but not proven")
    b.asked[#b.asked + 1] = c.name
    return invented(c, job, tokens) * (o.noise and o.noise() or 1) / threads
  end
  function b.plan(kernels, costs, _, tokens) -- a cliff behind nine tokens
    assert(#kernels == #costs and kernels[1].tokens == 1)
    for _, c in ipairs(kernels) do assert(c.proven and c.layout == kernels[1].layout) end
    return (1000 + 10 * tokens + (tokens > 9 and 400 or 0)) * (o.noise and o.noise() or 1) / tokens
  end
  function b.peak(record, layout) return { name = record.name, layout = layout, tokens = record.tokens } end
  function b.progress() end
  return b
end

local function measured(o)
  local b, t = machine(o), {}
  ceiling.measure(b, t)
  return t, b
end

local function values(t, name)
  local list = {}
  for _, r in ipairs(t.rows) do
    if r.row == name then list[#list + 1] = ("%s %d %.3f"):format(r.shape, r.threads, r.value) end
  end
  return list
end

local function everywhere(value)
  local list = {}
  for threads = 1, 2 do
    for _, shape in ipairs { "2560x2560", "6912x2560", "2560x6912" } do
      list[#list + 1] = ("%s %d %.3f"):format(shape, threads, value)
    end
  end
  return list
end

local function absent(t)
  local list = {}
  for _, a in ipairs(t.absent) do list[#list + 1] = a[1] end
  return table.concat(list, " ")
end

describe("limits", function()
  it("are shares of what is measured beside them", function()
    whole = measured { present = x86 }
    local t = whole
    assert.same(everywhere(0.9), values(t, "decode-2bit"))
    assert.same(everywhere(0.8), values(t, "decode-1.6bit"))
    assert.same(everywhere(0.7), values(t, "decode-avx2"))
    -- 2560 columns are whole steps of 20, 6912 are not: 8 columns of padding are read
    local bits2 = 2 * (2560 * 2560 + 2 * 2560 * 6912) / 0.9
    local bits16 = 1.6 * (2560 * 2560 + 2560 * 6912 + 2560 * 6920) / 0.8
    local ratio = ("%.3f"):format(bits2 / bits16)
    assert.same({ "all 1 " .. ratio, "all 2 " .. ratio }, values(t, "decode-1.6-over-2"))
    assert.same({ "6912x2560 1 0.900" }, values(t, "prompt-vnni"))
    assert.same({ "6912x2560 1 0.700" }, values(t, "prompt-avx2"))
    assert.same({ "6912x2560 1 0.950" }, values(t, "batch4-over-1"))
    assert.same({ "6912x2560 1 1.376" }, values(t, "batch-cliff"))
    assert.equal("prompt-amx", absent(t))
    for _, r in ipairs(t.rows) do
      assert.truthy(r.kernel:match(r.row:match("^decode") and "r32_m32" or "r32_m"), r.row .. " " .. r.kernel)
      assert.truthy(r.row ~= "decode-2bit" or r.baseline == READ * r.threads)
    end
  end)

  it("take the least on both sides, whatever noise adds", function()
    local n = 0
    local function noise()
      n = n + 1
      return n % 3 == 0 and 1 or 1 + n % 7
    end
    local t = measured { present = { "c", "avx2" }, noise = noise }
    assert.same(everywhere(0.7), values(t, "decode-avx2"))
    assert.same({ "6912x2560 1 0.700" }, values(t, "prompt-avx2"))
  end)

  it("have matrix tiles, and what another library makes of the same product beside them", function()
    local b, t = machine { present = { "c", "avx2", "avx512vnni", "avx512vbmi", "amx" }, cores = 1 }, {}
    b.rival = { name = "other", kernel = "theirs" }
    function b.rival.time(job, tokens)
      assert.equal(512, tokens)
      b.asked[#b.asked + 1] = "rival"
      return 2 * job.m * job.k / PEAK / 0.5
    end
    ceiling.measure(b, t)
    assert.same({ "6912x2560 1 0.600" }, values(t, "prompt-amx"))
    assert.same({ "6912x2560 1 0.500" }, values(t, "prompt-amx-other"))
    assert.same({}, values(t, "prompt-vnni-other"))
    local order = {}
    for i, r in ipairs(t.rows) do
      order[i] = r.row
      if r.row == "prompt-amx" then assert.truthy(r.kernel:match("^tile_q2")) end
    end
    assert.truthy(table.concat(order, " "):match("prompt%-amx prompt%-amx%-other prompt%-vnni"))
    local turn = ("peak_tile__amx "):rep(4) .. ("tile_%S+ "):rep(4) .. "rival "
    assert.truthy(table.concat(b.asked, " "):match(turn:rep(3)))
    assert.equal("", absent(t))
  end)

  it("interleave baseline and kernels", function()
    local _, b = measured { present = { "c", "avx2" }, cores = 1 }
    local order = table.concat(b.asked, " ")
    local turn = ("read" .. (" mad_%S+"):rep(4) .. " "):rep(6)
    assert.truthy(order:match(turn), order:sub(-2000))
    assert.truthy(order:match((("peak_mad__avx2 "):rep(4) .. ("mad_%S+ "):rep(4)):rep(3)))
  end)

  it("leave out what the CPU lacks, and say so", function()
    local t = measured { present = { "c", "ssse3", "avx2" } }
    assert.equal("decode-2bit decode-1.6bit decode-1.6-over-2 prompt-amx prompt-vnni batch4-over-1 batch-cliff",
      absent(t))
    assert.same(everywhere(0.7), values(t, "decode-avx2"))
    assert.truthy(t.absent[1][2]:match("^this CPU has no "))
    t = measured { present = { "c", "avx512bw", "avx512vnni" } }
    assert.equal("decode-1.6bit decode-1.6-over-2 decode-avx2 prompt-amx prompt-avx2", absent(t))
    t = measured { present = space.isas("aarch64") }
    assert.same({}, t.rows)
    assert.equal(#ceiling.rows(), #t.absent)
  end)

  it("leave out what is wrong", function()
    local isas = { "c", "avx2", "avx512vnni" }
    local t = measured { present = isas, prove = function(c) return c.isa ~= "avx512vnni" end }
    assert.equal("decode-2bit decode-1.6bit decode-1.6-over-2 prompt-amx prompt-vnni batch4-over-1 batch-cliff",
      absent(t))
    assert.truthy(t.absent[1][2]:match("no kernel"))
    assert.same(everywhere(0.7), values(t, "decode-avx2"))
  end)

  it("have one thread only where there is one core", function()
    local t, b = measured { present = { "c", "avx2" }, cores = 1 }
    assert.same({ 1 }, b.opened)
    for _, r in ipairs(t.rows) do assert.equal(1, r.threads) end
  end)

  it("keep the rows that were done when a later one stops", function()
    local b, t = machine { present = { "c", "avx2" } }, {}
    local open = b.open
    function b.open(n)
      if n > 1 then error("stop", 0) end
      open(n)
    end
    assert.is_false(pcall(ceiling.measure, b, t))
    assert.equal(3, #values(t, "decode-avx2"))
    assert.equal(1, #values(t, "prompt-avx2"))
  end)

  it("are JSON for programs and a table for people", function()
    local t = whole
    local rows = json.decode(report.json(t.rows))
    assert.equal(#t.rows, #rows)
    for i, r in ipairs(rows) do
      local keys = {}
      for key in pairs(r) do keys[#keys + 1] = key end
      table.sort(keys)
      assert.same({ "baseline", "kernel", "row", "shape", "threads", "value" }, keys)
      assert.equal(t.rows[i].kernel, r.kernel)
      assert.is_true(math.abs(t.rows[i].value - r.value) < 1e-3)
    end
    assert.same({}, json.decode(report.json({})))
    local at
    for line in report.text(t.rows):gmatch("[^\n]+") do -- all lines have their kernels in one column
      local column = line:find(line:match("%S+$"), 1, true)
      at = at or column
      assert.equal(at, column, line)
    end
  end)
end)
