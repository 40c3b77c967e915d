-- What was measured, without a clock: deciding again, explaining, and measurements that travel between machines.
package.path = "tune/?.lua;gen/?.lua;tests/spec/?.lua;" .. package.path

local json = require "cjson"
local fake = require "fake"
local linux = require "linux"
local store = require "store"
local dispatch = require "dispatch"
local literal = require "literal"
local replay = require "replay"
local host = require "host"
local confidence = require "confidence"
local bound = require "bound"
local explain = require "explain"
local machine = require "machine"
local records = require "records"
local commands = { import = require "import", export = require "export", merge = require "merge",
  diff = require "diff" }

local run, folder, write, read = fake.run, fake.folder, fake.write, fake.read

teardown(fake.clean)

local down = { model = "x", role = "down", m = 256, k = 512, weights = 2 ^ 30 }
local square = { model = "x", role = "o", m = 256, k = 256, weights = 2 ^ 30 }

-- The results of one fake run on a CPU, made once for each: the folder above, its measurements, the choices.
local made = {}
local function measured(cpu)
  if not made[cpu] then
    local results = folder()
    local at = results .. "/" .. host.slug(cpu)
    local choices = fake.tuned(at, cpu, { down, square })
    local kept = store.load(at .. "/measurements.jsonl")
    assert(dispatch.write(at .. "/dispatch.lua", replay.decide(kept)))
    made[cpu] = { results = results, at = at, file = at .. "/measurements.jsonl", choices = choices }
  end
  return made[cpu]
end

local function appended(path, ...)
  local f = assert(io.open(path, "ab"))
  for _, record in ipairs { ... } do f:write(type(record) == "string" and record or json.encode(record), "\n") end
  f:close()
end

local function copy_of(path)
  local new = folder() .. "/m.jsonl"
  write(new, read(path))
  return new
end

local function names(jobs)
  local out = {}
  for _, job in ipairs(jobs) do
    for _, k in ipairs(job.kernels) do
      out[dispatch.key(job)] = (out[dispatch.key(job)] or "") .. k.tokens .. " " .. k.name .. " "
    end
  end
  return out
end

describe("replay", function()
  it("chooses what the run chose, and says it in the same bytes every time", function()
    local m = measured "A CPU/1"
    local t = assert(replay.file(m.file))
    assert.same(names(m.choices), names(t.jobs))
    assert.equal(dispatch.text(t), dispatch.text(replay.file(m.file)))
    local bin = folder() -- no compiler in there
    run("ln -s $(command -v ls) " .. bin)
    local tune = "PATH=" .. bin .. " CC=/none/cc " .. host.quote((run "command -v luajit"):match "%S+")
      .. " tune/tune.lua --build /none --replay " .. m.file
    local once, status = run(tune)
    assert.equal("0", status)
    assert.equal(once, (run(tune)))
    assert.same(names(m.choices), names(assert(literal.read(once)).jobs))
  end)

  it("takes its date from the newest sample", function()
    local m = measured "A CPU/1"
    local path = folder() .. "/old.jsonl"
    write(path, (read(m.file):gsub('"at":"[^"]*"', '"at":"2020-02-03T04:05:06Z"')))
    assert.matches("measured it on 2020%-02%-03%.", dispatch.text((replay.file(path))))
  end)

  it("follows the samples", function()
    local m = measured "A CPU/1"
    local path, winner = copy_of(m.file), m.choices[1].kernels[1]
    local other = m.choices[1].kernels[1].runner_up
    for line in read(m.file):gmatch("[^\n]+") do
      local r = json.decode(line)
      if r.stage == "final" and r.kind == "decode" and r.m == down.m and r.k == down.k and r.name == other then
        r.ns, r.at = { winner.ns / 2 }, "2090-01-01T00:00:00Z"
        appended(path, r)
      end
    end
    local t = assert(replay.file(path))
    assert.matches(other, names(t.jobs)[dispatch.key(down)], 1, true)
    assert.equal(names(m.choices)[dispatch.key(square)], names(t.jobs)[dispatch.key(square)])
  end)

  it("leaves the jobs of earlier runs as they were", function()
    local at = folder()
    fake.tuned(at, "A CPU/1", { down })
    fake.tuned(at, "A CPU/1", { square })
    local t = assert(replay.file(at .. "/measurements.jsonl"))
    assert.same(names(measured("A CPU/1").choices), names(t.jobs))
  end)

  it("says in one sentence what is missing", function()
    local path = folder() .. "/m.jsonl"
    assert.matches("No such file", select(2, replay.file(path)))
    write(path, "nonsense\n{}\n")
    assert.matches("m%.jsonl: no tuning run", select(2, replay.file(path)))
    local said, status = run("luajit tune/tune.lua --replay " .. path)
    assert.equal("3", status)
    assert.matches("^tune: [^\n]+\n$", said)
  end)

  it("survives records that lie", function()
    local m = measured "A CPU/1"
    local whole, state = read(m.file), 1
    for _ = 1, 40 do
      local bytes = {}
      for line in whole:gmatch("[^\n]+\n") do
        state = (state * 16807) % 2147483647
        if line:find('"run"') or line:find('"race"') or state % 10 == 0 then
          local at = state % #line + 1
          line = line:sub(1, at - 1) .. string.char(32 + state % 90) .. line:sub(at + 1)
        end
        bytes[#bytes + 1] = line
      end
      local path = folder() .. "/m.jsonl"
      write(path, table.concat(bytes))
      local t, why = replay.file(path)
      assert.is_true(type(t) == "table" or type(why) == "string")
    end
  end)
end)

describe("explain", function()
  it("is sure of what is always ahead, and of nothing else", function()
    assert.equal(1, confidence({ 100, 101, 102 }, { 110, 111 }))
    assert.equal(0, confidence({ 110, 111 }, { 100, 101, 102 }))
    assert.equal(0.5, confidence({ 7 }, { 7 }))
    local close = confidence({ 100, 104, 108 }, { 101, 103, 107 })
    assert.is_true(close > 0.5 and close < 0.9)
    assert.equal(close, confidence({ 100, 104, 108 }, { 101, 103, 107 }))
    assert.is_nil(confidence({}, { 1 }))
  end)

  it("names memory where the bandwidth is used up, else the busiest ports", function()
    local k = measured("A CPU/1").choices[1].kernels[1]
    local function limit(share, ns) return bound.of({ name = k.name, ns = ns, share = share }, down, 2, 2000) end
    assert.matches("^memory: .*90%%", limit(0.9, 1000))
    assert.matches("^instructions: .* at 2%.0 GHz", limit(0.5, 100))
    assert.matches("^waiting", limit(0.5, 1e9))
    assert.matches("^not known", bound.of({ name = "mad", ns = 1 }, down, 2))
    assert.same({ rows = 64, columns = 16, count = { load = 4, dot = 16 } },
      bound.operations " * per 64 rows and 16 columns, 2 tokens: 4 load, 16 dot */")
  end)

  local function facts(words, table_only)
    local m = measured "A CPU/1"
    return explain.facts(dispatch.read(m.at .. "/dispatch.lua"), not table_only and store.load(m.file) or nil, words)
  end

  it("finds jobs by role, by shape, by both", function()
    assert.equal(2, #facts {})
    for _, words in ipairs { { "down" }, { "256x512" }, { "down 256x512" }, { "down", "256x512" } } do
      local found = facts(words)
      assert.equal(1, #found)
      assert.equal("down", found[1].role)
    end
    assert.equal(0, #facts { "down", "256x256" })
  end)

  it("tells choice, runner-up, confidence, candidates and default", function()
    local f, choice = facts({ "down" })[1], measured("A CPU/1").choices[1]
    assert.equal(choice.kernels[1].name, f.kernel)
    assert.equal(choice.kernels[1].runner_up, f.runner_up)
    assert.is_true(f.confidence >= 0 and f.confidence <= 1)
    assert.is_true(f.tried > 50)
    assert.equal(0, f.failed)
    assert.equal(0, f.left)
    assert.is_true(f.default_ns > 1.9 * f.ns)
    assert.matches("not here", facts({ "down" }, true)[1].note)
  end)

  it("leaves out jobs that are no tuner's, whatever stands there", function()
    local at = folder() .. "/dispatch.lua"
    local good = read(measured("A CPU/1").at .. "/dispatch.lua")
    for _, change in ipairs { { ", gbps = [%d.]+", ', gbps = "x"' }, { "share = [%d.]+", "share = true" },
      { 'role = "', 'role = "../' }, { "m = 256", "m = 0" }, { 'runner_up = "', 'runner_up = "x' },
      { 'name = "', 'name = "x' }, { "gain = [%d.]+", "gain = {}" }, { ", ns = %d+", ", ns = -1" } } do
      local text, n = good:gsub(change[1], change[2], 1)
      assert.equal(1, n, change[1])
      write(at, text)
      assert.equal(1, #explain.facts(assert(dispatch.read(at)), nil, {}), change[1])
    end
    write(at, (good:gsub("threads = 2", 'threads = "many"')))
    assert.equal(2, #explain.facts(dispatch.read(at), nil, {}))
  end)

  it("fits 100 columns, or is JSON", function()
    for line in explain.text(facts {}):gmatch("[^\n]+") do assert.is_true(#line <= 100, line) end
    local m = measured "A CPU/1"
    local o = { results = m.results, cpu = "A CPU/1", job = { "down" }, json = true }
    local said = json.decode((assert(explain.run(o))))
    assert.equal(m.choices[1].kernels[1].name, said[1].kernel)
    o.job = { "sideways" }
    assert.matches("no job 'sideways'", select(2, explain.run(o)))
    o.results = folder()
    assert.matches("no such file", select(2, explain.run(o)))
  end)
end)

describe("measurements that travel", function()
  local function exported(cpu)
    local path = folder() .. "/x.jsonl"
    assert(commands.export.run { results = measured(cpu).results, cpu = cpu, output = path })
    return path
  end

  local function import(results, file) return commands.import.run { results = results, file = file } end

  it("begin with whose they are", function()
    local m = measured "A CPU/1"
    write(m.at .. "/machine.txt", "CPU  A\n")
    local head = json.decode(read(exported "A CPU/1"):match("^[^\n]+"))
    assert.same({ kind = "export", cpu = "A CPU/1", slug = "a-cpu-1", machine = "CPU  A\n" }, head)
    assert.equal(read(exported "A CPU/1"), (commands.export.run { results = m.results, cpu = "A CPU/1" }))
    assert.matches("nothing is measured", select(2, commands.export.run { results = folder(), cpu = "A CPU/1" }))
  end)

  it("lead to the same table where they arrive, and arrive once", function()
    local file, results = exported "A CPU/1", folder()
    assert.matches("a%-cpu%-1: %d+ new", (assert(import(results, file))))
    local there = results .. "/a-cpu-1/measurements.jsonl"
    local first = read(there)
    assert.equal(dispatch.text((replay.file(measured("A CPU/1").file))), dispatch.text((replay.file(there))))
    assert.matches(" 0 new", (assert(import(results, file))))
    assert.equal(first, read(there))
    assert.is_nil(first:match('"check"'))
  end)

  it("never mix CPUs", function()
    local results = folder()
    assert(import(results, exported "A CPU/1"))
    local before = read(results .. "/a-cpu-1/measurements.jsonl")
    assert(import(results, exported "B CPU/2"))
    assert.equal(before, read(results .. "/a-cpu-1/measurements.jsonl"))
    assert.is_truthy(linux.read(results .. "/b-cpu-2/measurements.jsonl"))
    local both = exported "A CPU/1"
    appended(both, (read(measured("B CPU/2").file):gsub("\n$", "")))
    assert.matches("two CPUs", select(2, import(folder(), both)))
    -- other names, one folder
    local twin = folder() .. "/twin.jsonl"
    write(twin, (read(exported "A CPU/1"):gsub("A CPU[\\/]+1", "a-cpu 1")))
    assert.matches("is of A CPU/1, not of a%-cpu 1", select(2, import(results, twin)))
    assert.equal(before, read(results .. "/a-cpu-1/measurements.jsonl"))
    assert.matches("not mixed", select(2, commands.merge.run { a = exported "A CPU/1", b = exported "B CPU/2" }))
  end)

  it("cannot leave results/, nor bring names that are none", function()
    for _, cpu in ipairs { "../../../x", "/etc", "..", "$(touch x)", "a\nb", "" } do
      local slug = records.slug(cpu)
      assert.is_true(slug == nil or slug:match("^[%w%-]+$") ~= nil, cpu)
    end
    assert.is_nil(records.slug "..")
    assert.is_nil(records.slug "")
    assert.is_nil(records.slug "a\nb")
    local evil = exported "A CPU/1"
    appended(evil, { kind = "decode", stage = "final", name = "../../x; touch y", hash = "0", m = 1, k = 1,
      compiler = "cc", threads = 2, ns = { 1 } }, { kind = "read", run = "x", span = 0, gbps = -1 }, "{torn")
    local results = folder()
    assert.matches("3 lines make no sense", (assert(import(results, evil))))
    assert.is_nil(read(results .. "/a-cpu-1/measurements.jsonl"):find("touch", 1, true))
    local nobody = folder() .. "/n.jsonl"
    appended(nobody, { kind = "machine" })
    assert.matches("does not say of which CPU", select(2, import(folder(), nobody)))
  end)

  it("are merged in the order of their times, each once, whichever comes first", function()
    local all = {}
    for line in read(measured("A CPU/1").file):gmatch("[^\n]+") do all[#all + 1] = line end
    local a, b = folder() .. "/a", folder() .. "/b"
    for i, line in ipairs(all) do
      local dated = line:gsub('"at":"[^"]*"', ('"at":"2026-01-01T00:%02d:%02dZ"'):format(math.floor(i / 60), i % 60))
      if i % 2 == 0 or line:find('"run"') then appended(a, dated) end
      if i % 3 ~= 0 or i % 2 == 1 or line:find('"run"') then appended(b, dated) end
    end
    local c, d = folder() .. "/c", folder() .. "/d"
    assert(commands.merge.run { a = a, b = b, output = c })
    assert(commands.merge.run { a = b, b = a, output = d })
    assert.equal(read(c), read(d))
    local _, lines = read(c):gsub("\n", "")
    assert.equal(1 + #all, lines)
    assert.same(names(measured("A CPU/1").choices), names(replay.file(c).jobs))
  end)

  it("are compared job by job, as samples or as tables", function()
    local m = measured "A CPU/1"
    local slow = folder()
    fake.tuned(slow, "A CPU/1", { down }, function(...) return 2 * fake.known_best(...) end)
    local said = assert(commands.diff.run { a = m.at .. "/dispatch.lua", b = slow .. "/measurements.jsonl" })
    assert.matches("down 256x512: A %d+ ns, B %d+ ns, B takes 2%.00%d times A's\n  both  mad_", said)
    assert.matches("o 256x256: only in A: mad_", said)
    assert.matches("No such file", select(2, commands.diff.run { a = "/none", b = slow }))
    write(slow .. "/x.lua", "os.exit()")
    assert.matches("x%.lua: line 1", select(2, commands.diff.run { a = slow .. "/x.lua", b = slow .. "/x.lua" }))
  end)

  it("are commands of the tuner", function()
    local m = measured "A CPU/1"
    local said, status = run(("luajit tune/tune.lua diff %s %s/dispatch.lua"):format(m.file, m.at))
    assert.equal("0", status)
    assert.matches("down 256x512", said)
    local results = folder()
    said, status = run(("luajit tune/tune.lua import %s --results %s"):format(exported "A CPU/1", results))
    assert.equal("0", status)
    assert.matches("^[^\n]+a%-cpu%-1: %d+ new records of A CPU/1[^\n]+\n$", said)
    said, status = run("luajit tune/tune.lua merge one")
    assert.equal("2", status)
    assert.matches("^tune: .*Usage: ", said)
    for command in pairs(commands) do
      assert.equal("0", (select(2, run("luajit tune/tune.lua " .. command .. " --help"))))
    end
  end)
end)

describe("the description of a machine", function()
  it("is read from where Linux says it", function()
    local root = folder()
    for _, path in ipairs { "/proc/sys/kernel", "/sys/devices/system/cpu/cpu0/cache/index0",
      "/sys/devices/system/cpu/cpu0/cpufreq" } do assert(linux.mkdir(root .. path, 448)) end
    write(root .. "/proc/cpuinfo", "processor\t: 0\ncpu MHz\t\t: 2000.5\n\nprocessor\t: 1\ncpu MHz\t\t: 900\n")
    write(root .. "/proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n")
    write(root .. "/proc/sys/kernel/osrelease", "6.1.0\n")
    local cpu = root .. "/sys/devices/system/cpu/cpu0"
    write(cpu .. "/cpufreq/scaling_governor", "powersave\n")
    for file, text in pairs { level = "1", type = "Data", size = "48K", shared_cpu_list = "0-1" } do
      write(cpu .. "/cache/index0/" .. file, text .. "\n")
    end
    local facts = machine.facts(root)
    assert.same({ cores = 2, mhz = 2000.5, memory = "16.0 GiB", kernel = "6.1.0", governor = "powersave",
      caches = "L1d 48K, CPUs 0-1" }, facts)
    facts.cpu, facts.read = "evil\nname", { [2] = 30, [1] = 15.04 }
    local text = machine.text(facts)
    assert.matches("^CPU             evil name\narchitecture    not known\ncores           2\n", text)
    assert.matches("reads with 1    15%.0 GB/s\nreads with 2    30%.0 GB/s\n$", text)
  end)

  it("is there even where Linux says nothing", function()
    assert.matches("governor        not known\n", machine.text(machine.facts(folder())))
  end)
end)

-- Both search the same results at once, and write their tables at the end.
describe("two tuners at once", function()
  it("compile the same kernels into one cache, and can load what is there", function()
    local cache, script = folder() .. "/cache", folder() .. "/builder.lua"
    write(script, [[
      package.path = "tune/?.lua;gen/?.lua;" .. package.path
      local build, emit, space, ffi = require "build", require "emit", require "space", require "ffi"
      local b, list = build.new(arg[1], "some compiler", 2), {}
      for i, point in ipairs(space.points("mad", "c")) do
        local k = i <= 3 and emit.kernel(point)
        if k then list[i] = build.candidate(k, emit.layout(k.layout)) end
      end
      build.all(b, list, math.huge)
      for _, c in ipairs(list) do assert(ffi.load(assert(c.so, c.failed))) end
      print(#list)
    ]])
    local one = "luajit " .. script .. " " .. cache
    local said, status = run(("{ %s & a=$!; %s & b=$!; wait $a && wait $b; }"):format(one, one))
    assert.equal("0", status, said)
    assert.is_true(tonumber(said:match("%d+")) >= 1)
    assert.equal("", (run("ls " .. cache .. " | grep new")))
  end)

  it("lose no sample, tear no line, leave one whole table", function()
    local results = folder()
    local script = folder() .. "/tuner.lua"
    write(script, [[
      package.path = "tune/?.lua;gen/?.lua;tests/spec/?.lua;" .. package.path
      local fake, store = require "fake", require "store"
      local replay, dispatch = require "replay", require "dispatch"
      local job = { model = "x", role = arg[2], m = 256, k = tonumber(arg[3]), weights = 2 ^ 30 }
      fake.tuned(arg[1], "A CPU/1", { job })
      local t = replay.decide((store.load(arg[1] .. "/measurements.jsonl")))
      for _ = 1, 50 do assert(dispatch.write(arg[1] .. "/dispatch.lua", t)) end
    ]])
    local one = "luajit " .. script .. " " .. results
    local said, status = run(("{ %s down 512 & a=$!; %s o 256 & b=$!; wait $a && wait $b; }"):format(one, one))
    assert.equal("0", status, said)
    local kept, bad = store.load(results .. "/measurements.jsonl")
    assert.equal(0, bad)
    assert.equal(2, #kept.runs)
    assert.same(names(measured("A CPU/1").choices), names(replay.decide(kept).jobs))
    local t = assert(dispatch.read(results .. "/dispatch.lua"))
    for _, job in ipairs(t.jobs) do assert.is_true(dispatch.current(job)) end
    assert.equal("dispatch.lua\nmeasurements.jsonl\n", (run("ls " .. results)))
  end)
end)
