-- The tuner without a clock: races on invented times, the store and its torn lines, tables that are not what
-- they should be, and what machine this is, under every Lua.
package.path = "tune/?.lua;gen/?.lua;tests/spec/?.lua;" .. package.path

local race = require "race"
local store = require "store"
local linux = require "linux"
local dispatch = require "dispatch"
local literal = require "literal"
local shapes = require "shapes"
local host = require "host"
local build = require "build"
local measure = require "measure"
local candidates = require "candidates"
local search = require "search"
local cuts = require "cuts"
local space = require "space"
local emit = require "emit"
local name = require "name"
local fake = require "fake"

local run, folder, write = fake.run, fake.folder, fake.write

teardown(fake.clean)

describe("race", function()
  -- Times with noise that only adds, the same in every run.
  local function clock(times)
    local state, order = 7, {}
    return function(item, round)
      state = (state * 16807) % 2147483647
      order[#order + 1] = { item = item, round = round }
      return times[item] * (1 + 0.1 * (state % 1000) / 1000)
    end, order
  end

  local function alphabetical(a, b) return a < b end

  it("finds the fastest under noise and drops the slow after a round", function()
    local times = { a = 150, b = 100, c = 131, d = 110, reference = 300 }
    local sample, order = clock(times)
    local entries = race.run({ "reference", "a", "b", "c", "d" }, { sample = sample, reference = "reference" })
    assert.equal("b", race.ranked(entries, alphabetical)[1].item)
    local rounds = {}
    for _, o in ipairs(order) do rounds[o.item] = o.round end
    assert.equal(1, rounds.a)
    assert.equal(12, rounds.b)
    assert.equal(12, rounds.reference)
  end)

  it("never times the same candidate twice in a row", function()
    local sample, order = clock { a = 100, b = 100, c = 100 }
    race.run({ "a", "b", "c" }, { sample = sample, rounds = 50, reference = "a" })
    assert.is_true(#order >= 100)
    for i = 2, #order do assert.is_not.equal(order[i - 1].item, order[i].item) end
  end)

  it("takes the simpler one within noise, and only within noise", function()
    local function ranked(a, b)
      return race.ranked({ { item = "a", ns = a }, { item = "b", ns = b }, { item = "c", ns = 200 } }, alphabetical)
    end
    assert.equal("a", ranked(100.9, 100)[1].item)
    assert.equal("b", ranked(102, 100)[1].item)
    assert.equal("a", ranked(102, 100)[2].item)
  end)

  it("survives candidates that fail, at once or later", function()
    local entries = race.run({ "good", "bad", "late" }, { reference = "good", sample = function(item, round)
      if item == "bad" or (item == "late" and round == 2) then return nil, "crash: signal 11" end
      return item == "good" and 100 or 90
    end })
    local by = {}
    for _, e in ipairs(entries) do by[e.item] = e end
    assert.equal("crash: signal 11", by.bad.failed)
    assert.equal("crash: signal 11", by.late.failed)
    local ranked = race.ranked(entries, alphabetical)
    assert.equal(1, #ranked)
    assert.equal("good", ranked[1].item)
  end)

  it("competes within groups only", function()
    local times = { two = 100, two_slow = 140, four = 50, four_slow = 70 }
    local entries = race.run({ "two", "two_slow", "four", "four_slow" }, { reference = "two",
      sample = function(item) return times[item] end, group = function(item) return item:match("^%a%a%a") end })
    local rounds = {}
    for _, e in ipairs(entries) do rounds[e.item] = #e.samples end
    assert.same({ two = 12, two_slow = 1, four = 12, four_slow = 1 }, rounds)
  end)

  it("times the first few even when it is late, and no more", function()
    local entries = race.run({ "a", "b", "c" }, { reference = "a", sample = function() return 1 end, least = 2,
      late = function() return true end })
    assert.equal(2, #entries)
  end)

  it("reports the drift of its reference", function()
    local n = 0
    local _, drift = race.run({ "a", "b" }, { reference = "a", rounds = 9, sample = function(item)
      n = n + 1
      return item == "a" and n > 4 and 120 or 100
    end })
    assert.is_true(math.abs(drift - 1.2) < 1e-9)
  end)
end)

describe("store", function()
  local function record(ns)
    return { kind = "decode", stage = "tiles", name = "k", hash = "h", compiler = "cc", threads = 2, m = 8, k = 16,
      ns = ns }
  end

  it("gives back what it took, in a later run, too", function()
    local path = folder()
    local s = store.open(path)
    store.add(s, record { 3, 2 })
    store.add(s, record { 1 })
    store.add(s, { kind = "check", hash = "h", compiler = "cc" })
    store.add(s, { kind = "check", hash = "bad", compiler = "cc", failed = "wrong" })
    store.close(s)
    local again, bad = store.open(path)
    assert.equal(0, bad)
    assert.same({ 3, 2, 1 }, store.samples(again, record()))
    assert.is_true(store.checked(again, { kind = "check", hash = "h", compiler = "cc" }))
    assert.equal("wrong", store.checked(again, { kind = "check", hash = "bad", compiler = "cc" }))
    local other = record()
    other.threads = 1
    assert.is_nil(store.samples(again, other))
    other = record { 9 }
    other.anew = true
    store.add(again, other)
    assert.same({ 9 }, store.samples(store.open(path), record()))
  end)

  it("skips a torn line and begins a new one after it", function()
    local path = folder()
    local s = store.open(path)
    store.add(s, record { 5 })
    store.close(s)
    local f = io.open(path .. "/measurements.jsonl", "ab")
    f:write('{"kind":"decode","stage":"ti')
    f:close()
    local again, bad = store.open(path)
    assert.equal(1, bad)
    store.add(again, record { 6 })
    local last
    last, bad = store.open(path)
    assert.equal(1, bad)
    assert.same({ 5, 6 }, store.samples(last, record()))
  end)

  it("takes nonsense for what it is", function()
    local path = folder()
    write(path .. "/measurements.jsonl",
      '{"kind":"decode","ns":[-1]}\n[1]\nnull\n{"kind":"decode","ns":"x"}\n\0\1\n{}\n')
    local _, bad = store.open(path)
    assert.equal(6, bad)
  end)

  it("lets several processes append at once", function()
    local path = folder()
    local writer = path .. "/writer.lua"
    write(writer, [[
      package.path = "tune/?.lua;gen/?.lua;tests/spec/?.lua;" .. package.path
      local store = require "store"
      local s = store.open(arg[1])
      for i = 1, 200 do
        store.add(s, { kind = "decode", hash = "h", m = tonumber(arg[2]), name = ("x"):rep(i), ns = { i } })
      end
    ]])
    local one = "luajit " .. writer .. " " .. path
    local _, status = run(("%s 1 & %s 2 & %s 3 & wait"):format(one, one, one))
    assert.equal("0", status)
    local s, bad = store.open(path)
    assert.equal(0, bad)
    for m = 1, 3 do assert.equal(200, #store.samples(s, { kind = "decode", hash = "h", m = m })) end
  end)

  it("says why a folder cannot be written", function()
    local s, why = store.open("/proc/none/here")
    assert.is_nil(s)
    assert.matches("/proc/none", why)
  end)
end)

-- A search whose kernels need neither compiler nor clock: `times` says how long a candidate takes.
describe("search", function()
  local searching, known_best = fake.searching, fake.known_best
  after_each(fake.restore)

  local function job() return { model = "x", role = "o", m = 256, k = 256, weights = 2 ^ 30 } end

  it("finds the known best, its fine parameters and its batch kernels", function()
    local s = searching(folder(), known_best, "balanced")
    local choice = search.job(s, job(), {}, math.huge)
    local point = name.parse(choice.kernels[1].name)
    assert.same({ "mad", 32, 16, 2, 1 }, { point.family, point.r, point.m, point.a, point.u })
    assert.is_true(choice.gain > 1.9)
    local tokens = {}
    for i, k in ipairs(choice.kernels) do tokens[i] = k.tokens end
    assert.equal(1, tokens[1])
    assert.is_true(#tokens > 1 and #tokens <= 8)
    for i = 2, #tokens do assert.is_true(tokens[i] > tokens[i - 1]) end
    for _, k in ipairs(choice.kernels) do assert.is_true(k.call_ns > 0) end
    assert.is_string(choice.kernels[1].runner_up)
    assert.is_not.equal(choice.kernels[1].name, choice.kernels[1].runner_up)
  end)

  it("finds the same again in what is stored, and measures nothing", function()
    local path = folder()
    local first = search.job(searching(path, known_best, "balanced"), job(), {}, math.huge)
    local s = searching(path, known_best, "balanced")
    local second = search.job(s, job(), {}, math.huge)
    assert.equal(0, s.fresh)
    assert.equal(first.kernels[1].name, second.kernels[1].name)
    assert.equal(#first.kernels, #second.kernels)
  end)

  it("measures anew what was measured while the machine was slow", function()
    local path, slow = folder(), 3
    local function drifting(...) return slow * known_best(...) end
    search.job(searching(path, drifting, "decode"), job(), {}, math.huge)
    slow = 1
    local s = searching(path, drifting, "decode")
    local choice = search.job(s, job(), {}, math.huge)
    assert.is_true(s.fresh > 0)
    assert.is_true(choice.kernels[1].ns < 600)
  end)

  it("goes on without a candidate that fails, now and in later runs", function()
    local path, asked = folder(), 0
    local function failing(point, tokens)
      if tokens == 1 and point.r == 32 and point.m == 16 and point.family == "mad" then
        asked = asked + 1
        return nil, "crash: signal 11"
      end
      return known_best(point, tokens)
    end
    local choice = search.job(searching(path, failing, "balanced"), job(), {}, math.huge)
    assert.is_true(asked > 0)
    assert.is_nil(choice.kernels[1].name:match("^mad_q2r32_m16n1"))
    asked = 0
    search.job(searching(path, failing, "balanced"), job(), {}, math.huge)
    assert.equal(0, asked)
  end)

  it("decides by what is known when it is interrupted, and asks no more", function()
    local function after(most)
      local path, asked, set = folder(), 0, {}
      local s = searching(path, function(...)
        asked = asked + 1
        if asked > most then error(measure.interruption, 0) end
        return known_best(...)
      end, "balanced")
      local one = job()
      local ok, why = pcall(search.job, s, one, set, math.huge)
      if ok then return why, 0 end
      assert.equal(measure.interruption, why)
      asked = 0
      return search.decide(s, one), asked
    end
    assert.is_nil((after(0)))
    local found = {}
    for _, most in ipairs { 1, 100, 700, 1000, 1100, math.huge } do
      local choice, asked = after(most)
      assert.equal(0, asked)
      if choice then found[#found + 1] = choice.kernels[1].name end
    end
    assert.is_true(#found > 1)
    assert.matches("^mad_q2r32_m16n1a2u1", found[#found])
  end)

  it("weighs layouts by the objective", function()
    -- lookup decodes a tenth faster, but has no batch kernels
    local function times(point, tokens)
      if tokens > 1 then return point.family == "lut" and 900 or 100 end
      return point.family == "lut" and 900 or 1000
    end
    local function family(objective)
      local choice = search.job(searching(folder(), times, objective), job(), {}, math.huge)
      return choice.kernels[1].name:match("^%a+")
    end
    assert.equal("lut", family("decode"))
    assert.equal("mad", family("balanced"))
    assert.equal("mad", family("prompt"))
  end)

  it("has the default to offer when there is no time at all", function()
    local choice = search.job(searching(folder(), known_best, "balanced"), job(), {}, 0)
    local default = space.defaults("mad", "avx2")
    assert.equal(name.of(default[1]), choice.kernels[1].name)
  end)

  it("tries an ISA's twin of an older ISA's kernel once, and plain C only where there is nothing else", function()
    local pool = candidates.new { present = { "c", "ssse3", "avx2", "avx512vnni", "avx512vbmi" } }
    local seen, names = {}, candidates.tiles(pool, false)
    for _, c in ipairs(names) do
      assert.is_nil(c.name:match("__c$"))
      assert.is_nil(seen[c.name])
      seen[c.name] = true
      local twin = c.name:match("^(.*)__avx512vbmi$")
      if twin then assert.is_nil(seen[twin .. "__avx512vnni"]) end
    end
    assert.is_true(#names > 40)
    for _, c in ipairs(names) do assert.equal(0, c.group) end
    assert.matches("__c$", candidates.tiles(candidates.new { present = { "c" } }, false)[1].name)
  end)
end)

describe("cuts", function()
  local function kernels(list)
    local out = {}
    for i, pair in ipairs(list) do out[i] = { tokens = pair[1], cost = pair[2] } end
    return out
  end
  local function tokens_of(list)
    local tokens = {}
    for i, k in ipairs(list) do tokens[i] = k.tokens end
    return tokens
  end

  it("cost the least that calls add up to, with room for more tokens than there are", function()
    local best = cuts.table(kernels { { 1, 100 }, { 4, 250 }, { 6, 500 } }, 12)
    assert.equal("100 200 250 250 350 450 500 500 600 700 750 750", table.concat(best, " "))
  end)

  it("keep the kernels that save something", function()
    local all = kernels { { 1, 100 }, { 2, 190 }, { 3, 300 }, { 4, 340 }, { 8, 700 }, { 12, 1000 } }
    -- three cost as much as one by one, eight more than four and four
    assert.same({ 1, 2, 4, 12 }, tokens_of(cuts.keep(all)))
  end)

  it("keep the eight that save most, up to hundreds of tokens", function()
    local all = {}
    for i = 1, 12 do all[i] = { tokens = i, cost = 100 * i + 20 } end
    all[13], all[14] = { tokens = 16, cost = 1600 }, { tokens = 256, cost = 25000 }
    local kept = tokens_of(cuts.keep(all))
    assert.equal(8, #kept)
    assert.equal(1, kept[1])
    assert.same({ 16, 256 }, { kept[7], kept[8] })
    assert.same({ 1 }, tokens_of(cuts.keep { all[1] }))
  end)
end)

describe("scales of groups", function()
  local pool = candidates.new { present = { "avx2" }, families = { "lut" }, group = 64 }

  it("narrow the candidates to kernels of that group", function()
    local tiles = candidates.tiles(pool, false)
    assert.is_true(#tiles > 4)
    for _, list in ipairs { tiles, candidates.neighbours(pool, tiles[1]), candidates.default(pool) } do
      for _, c in ipairs(list) do assert.same({ 64, "grouped" }, { c.group, c.kind }) end
    end
  end)

  it("are bytes, too, and keep jobs and their samples apart", function()
    local job, layout = { role = "o", m = 60, k = 200 }, { rows = 32, kstep = 16, bytes = 128 }
    local plain, key = measure.bytes(job, layout), dispatch.key(job)
    assert.equal(2 * 13 * 128, plain)
    job.group = 64
    assert.equal(plain + 2 * 32 * 4 * 4, measure.bytes(job, layout))
    assert.equal(key .. " g64", dispatch.key(job))
    local function samples_key(group) return store.key { kind = "race", m = 1, k = 2, group = group } end
    assert.is_not.equal(samples_key(64), samples_key(nil))
  end)
end)

describe("the dispatch table", function()
  local function entry(point, more)
    local k = emit.kernel(point)
    local e = { tokens = k.tokens, name = k.name, hash = k.hash, ns = 1234.5, gbps = 12.25, share = 0.9, bytes = 4096 }
    for key, value in pairs(more or {}) do e[key] = value end
    return e
  end

  local function sample(isa)
    local kernels = {}
    for i, p in ipairs(space.defaults("mad", isa)) do kernels[i] = entry(p) end
    kernels[1].runner_up, kernels[1].margin, kernels[1].unconfirmed = "x", -0.01, true
    return { cpu = 'A "quoted" CPU\\1', arch = space.isa(isa).arch, compiler = "cc\t1", threads = 2, read_gbps = 30.5,
      date = "2026-01-02", pool_mib = 256, objective = "balanced", jobs = {
        { role = "o", m = 256, k = 256, layout = emit.kernel(space.defaults("mad", isa)[1]).layout, gain = 1.25,
          prompt_gain = 2, kernels = kernels },
        { role = "qkv", m = 512, k = 256, layout = "q2r16", gain = 1, kernels = { kernels[1] } } } }
  end

  it("is read back as it was written, the largest job first", function()
    local t = sample "avx2"
    local back = assert(literal.read(dispatch.text(t)))
    assert.equal(t.cpu, back.cpu)
    assert.equal(t.compiler, back.compiler)
    assert.equal("qkv", back.jobs[1].role)
    assert.equal(t.jobs[1].kernels[1].hash, back.jobs[2].kernels[1].hash)
    assert.is_true(back.jobs[2].kernels[1].unconfirmed)
    assert.equal(-0.01, back.jobs[2].kernels[1].margin)
    assert.is_true(dispatch.current(back.jobs[1]))
    back.jobs[1].kernels[1].hash = "0"
    assert.is_false(dispatch.current(back.jobs[1]))
    assert.equal(1 + #t.jobs[1].kernels, #dispatch.points(back))
  end)

  it("replaces a file at once, and says why it cannot", function()
    local path = folder() .. "/dispatch.lua"
    assert.is_true(dispatch.write(path, sample "avx2"))
    assert.is_true(dispatch.write(path, sample "avx2"))
    assert.equal("balanced", dispatch.read(path).objective)
    local ok, why = dispatch.write("/proc/none/dispatch.lua", sample "avx2")
    assert.is_nil(ok)
    assert.matches("/proc/none", why)
    assert.is_nil(dispatch.read("/proc/none/dispatch.lua"))
  end)

  local function build_with(text)
    local at = folder()
    write(at .. "/dispatch.lua", text)
    local said, status = run(("luajit gen/gen.lua --build %s --arch x86_64 --dispatch %s/dispatch.lua"):format(at, at))
    local f = io.open(at .. "/dispatch_table.c")
    local made = f and f:read("*a")
    if f then f:close() end
    return said, status, made
  end

  it("is what the generator links", function()
    local said, status, made = build_with(dispatch.text(sample "avx2"))
    assert.equal("", said)
    assert.equal("0", status)
    assert.matches('{"qkv", 512, 256, 0, {"mad_', made)
    assert.matches('{"o", 256, 256, 0, {"mad_', made)
    assert.matches('A \\042quoted\\042 CPU', made, 1, true)
  end)

  it("tells what a call costs, if that is known of all kernels", function()
    local t = sample "avx2"
    for i, k in ipairs(t.jobs[1].kernels) do k.call_ns = 1000 * i + 0.4 end
    local _, _, made = build_with(dispatch.text(t))
    local with_costs = '{"o", 256, 256, 0, {[^}]*}, {1000, 2000, 3000[%d, ]*}, NULL, 0%.0000},'
    assert.matches(with_costs, made) -- its first kernel is qkv's, too
    t.jobs[1].kernels[2].call_ns = nil
    _, _, made = build_with(dispatch.text(t))
    assert.matches('{"o", 256, 256, 0, {[^}]*}, {0}, NULL, 0%.0000},', made)
    for _, wrong in ipairs { '"1"', "-5", "0.5", "1e300", "{}" } do
      local text = dispatch.text(sample "avx2"):gsub("ns = 1234", "ns = 1, call_ns = " .. wrong)
      _, _, made = build_with(text)
      assert.matches('{"o", 256, 256, 0, {[^}]*}, {0}, NULL, 0%.0000},', made)
    end
  end)

  it("says how many columns share a scale, which must be what its kernels expect", function()
    local t, kernels = sample "avx2", {}
    for i, p in ipairs(space.defaults("mad", "avx2", 128)) do kernels[i] = entry(p) end
    t.jobs[1].group, t.jobs[1].kernels = 128, kernels
    local said, _, made = build_with(dispatch.text(t))
    assert.equal("", said)
    assert.matches('{"o", 256, 256, 128, {"mad_[%w_]+g128__avx2"', made)
    assert.matches('{"qkv", 512, 256, 0, {"mad_', made)
    t.jobs[1].group = 64
    said, _, made = build_with(dispatch.text(t))
    assert.matches("do not go together", said)
    assert.is_nil(made:match('{"o", 256'))
  end)

  it("is refused with one sentence when it is nonsense, and the defaults remain", function()
    local good = dispatch.text(sample "avx2")
    for what, text in pairs {
      ["code"] = "os.execute('echo owned')",
      ["a call"] = "return { cpu = os.getenv('HOME'), jobs = {} }",
      ["half of it"] = good:sub(1, #good / 2),
      ["no jobs"] = 'return { cpu = "x", arch = "x86_64" }',
      ["empty"] = "",
      ["deep"] = "return " .. ("{"):rep(100) .. ("}"):rep(100),
      ["another machine's"] = (good:gsub('arch = "x86_64"', 'arch = "vax"')),
    } do
      local said, status, made = build_with(text)
      assert.equal("0", status, what)
      assert.matches("^gen: [^\n]+\n$", said, 1, false)
      assert.is_nil(made:match('{"qkv"'), what)
      assert.matches('{"avx2", 0, 0, 0, {"mad_', made)
    end
  end)

  it("loses single jobs that make no sense, one sentence each", function()
    local good = dispatch.text(sample "avx2")
    for _, change in ipairs { { 'role = "o"', 'role = "window"' }, { "m = 256", "m = -1" }, { "m = 256", 'm = "256"' },
      { 'tokens = 1, name = "mad', 'tokens = 1, name = "../mad' }, { 'hash = "', 'hash = "0' } } do
      local at = good:find('role = "o"', 1, true) - 3
      local text = good:sub(1, at) .. good:sub(at + 1):gsub(change[1], change[2], 1)
      assert.is_not.equal(good, text)
      local said, status, made = build_with(text)
      assert.equal("0", status)
      assert.matches("^gen: [^\n]+left out[^\n]+\n$", said)
      assert.matches('{"qkv", 512, 256, 0, {"mad_', made)
      assert.is_nil(made:match('{"o", 256'))
    end
  end)
end)

describe("shapes", function()
  it("knows the public models", function()
    local sets = shapes.named("2b4t,tiny,2b4t")
    assert.equal(2, #sets)
    local found = {}
    for _, job in ipairs(sets[1]) do found[job.role] = { job.m, job.k } end
    assert.same({ qkv = { 3840, 2560 }, o = { 2560, 2560 }, gate_up = { 13824, 2560 }, down = { 2560, 6912 } }, found)
    assert.equal("gate_up", sets[1][1].role)
    assert.is_nil(shapes.named("nonesuch"))
    assert.is_nil(shapes.named(","))
  end)

  it("reads those of a file: the embedded model is tiny", function()
    local file, tiny = shapes.of_file("tests/model/tiny-tales-i2_s.gguf")[1], shapes.named("tiny")[1]
    for i, job in ipairs(tiny) do
      for _, key in ipairs { "role", "m", "k", "weights" } do assert.equal(job[key], file[i][key]) end
    end
  end)

  it("refuses files that lie, with a sentence", function()
    local f = io.open("tests/model/tiny-tales-i2_s.gguf", "rb")
    local head = f:read(40000)
    f:close()
    local path = folder() .. "/x.gguf"
    for size = 0, 400 do
      write(path, head:sub(1, size))
      local sets, why = shapes.of_file(path)
      assert.is_nil(sets)
      assert.matches("x%.gguf: ", why)
    end
    local state = 1
    for _ = 1, 200 do
      local bytes = { head:byte(1, 600) }
      for _ = 1, 3 do
        state = (state * 16807) % 2147483647
        bytes[state % 600 + 1] = math.floor(state / 1000) % 256
      end
      write(path, string.char(unpack(bytes)) .. head:sub(601))
      local sets, why = shapes.of_file(path)
      assert.is_true(sets ~= nil or why:match("x%.gguf: ") ~= nil)
    end
    assert.is_nil(shapes.of_file("/"))
    assert.matches("No such file", select(2, shapes.of_file("/nonesuch")))
  end)
end)

describe("host", function()
  local x86 = "processor\t: 0\nvendor_id\t: X\ncpu family\t: 6\nmodel\t\t: 207\nmodel name\t: Some(R) CPU @ 2.0GHz\n"
    .. "stepping\t: 2\nflags\t\t: fpu:1 " .. ("x"):rep(900) .. "\npower management:\n\nmodel name\t: Other\n"

  it("joins the lines that tell CPUs apart", function()
    assert.equal("Some(R) CPU @ 2.0GHz/6/207/2", host.cpu_of(x86))
    assert.equal("0x41/0xd0c/0x3/1", host.cpu_of("processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\n"
      .. "CPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n"))
    assert.equal("", host.cpu_of("nothing here\n"))
    assert.equal(63, #host.cpu_of("model name\t: " .. ("y"):rep(100) .. "\n"))
  end)

  it("makes names of folders of it", function()
    assert.equal("some-cpu-6-207-2", host.slug("Some(R) CPU @ 2.0GHz/6/207/2"))
    assert.equal("x86-64", host.slug("x86_64"))
  end)

  it("says the same under every Lua", function()
    local at = folder()
    local path = at .. "/" .. host.slug(host.cpu()) .. "/dispatch.lua"
    assert(linux.mkdir(path:match("^(.*)/"), 448))
    local t = { cpu = host.cpu(), arch = host.arch(), compiler = "cc", date = "2026-01-02", jobs = {} }
    for _, cpu in ipairs { host.cpu(), "another" } do
      t.cpu = cpu
      assert(dispatch.write(path, t))
      for _, lua in ipairs { "luajit", "lua5.1", "lua5.4" } do
        assert.equal(host.slug(host.cpu()) .. "\n", (run(lua .. " tune/host.lua --slug")))
        assert.equal(host.cpu() .. "\n", (run(lua .. " tune/host.lua --cpu")))
        local said, status = run(lua .. " tune/host.lua --dispatch " .. at)
        assert.equal("0", status)
        assert.equal(cpu == host.cpu() and path .. "\n" or "", said)
      end
    end
  end)
end)

describe("build", function()
  it("keeps what it compiled, and the compiler's first error of what it could not", function()
    local at = folder()
    local b = build.new(at .. "/cache", "some compiler", 2)
    local k = emit.kernel(space.defaults("mad", "c")[1])
    local layout = emit.layout(k.layout)
    local good, bad = build.candidate(k, layout), build.candidate(k, layout)
    bad.code = bad.code .. "\nint broken(void) { return missing; }\n"
    build.all(b, { good, bad }, math.huge)
    assert.is_string(good.so)
    assert.matches("^compile: candidate.c:%d+.*'missing'", (bad.failed:gsub("‘", "'"):gsub("’", "'")))
    assert.is_nil(bad.so)
    local again, built = build.candidate(k, layout), 0
    build.all(b, { again }, math.huge, function() built = built + 1 end)
    assert.equal(good.so, again.so)
    assert.equal(0, built)
    local mode = run("stat -c %a " .. at .. "/cache")
    assert.equal("700\n", mode)
  end)

  it("starts nothing once time is up", function()
    local b = build.new(folder() .. "/cache", "some compiler", 2)
    local k = emit.kernel(space.defaults("mad", "c")[1])
    local c = build.candidate(k, emit.layout(k.layout))
    build.all(b, { c }, 0)
    assert.is_nil(c.so)
    assert.is_nil(c.failed)
  end)
end)
