-- The search without a clock: what is tried and in what order, a machine that is not always itself, what untuned CPUs
-- run, and the proof that a short search finds what a long one does.
package.path = "tune/?.lua;gen/?.lua;tests/spec/?.lua;" .. package.path

local race = require "race"
local store = require "store"
local linux = require "linux"
local dispatch = require "dispatch"
local literal = require "literal"
local candidates = require "candidates"
local search = require "search"
local space = require "space"
local emit = require "emit"
local name = require "name"
local host = require "host"
local cost = require "cost"
local state = require "state"
local ratio = require "ratio"
local prove = require "prove"
local defaults = require "defaults"
local records = require "records"
local replay = require "replay"
local untuned = require "untuned"
local screen = require "screen"
local fake = require "fake"

local run, folder, write, read = fake.run, fake.folder, fake.write, fake.read

teardown(fake.clean)

local function job() return { model = "x", role = "o", m = 256, k = 256, weights = 2 ^ 30 } end

describe("a race's grace", function()
  it("lets nobody leave but those that fail", function()
    local times, rounds = { a = 100, b = 500, c = 101 }, {}
    race.run({ "a", "b", "c" }, { reference = "a", grace = 2, rounds = 4, sample = function(item, round)
      rounds[item] = round
      if item == "c" and round == 2 then return nil, "crash" end
      return times[item]
    end })
    assert.same({ a = 3, b = 3, c = 2 }, rounds)
  end)
end)

describe("a race that is late", function()
  it("still has those whose samples are there already", function()
    local asked = {}
    local entries = race.run({ "reference", "known", "new" }, { reference = "reference", least = 1,
      late = function() return true end, known = function(item) return item == "known" end,
      sample = function(item)
        asked[#asked + 1] = item
        return 1
      end })
    assert.same({ "reference", "known" }, asked)
    assert.equal(2, #entries)
  end)
end)

describe("the small space", function()
  local function pool(present, isas)
    return candidates.new { present = present, isas = isas, small = true }
  end

  local function names_of(s)
    local list = {}
    for _, batches in ipairs { false, true } do
      for _, c in ipairs(candidates.all(s, batches)) do list[#list + 1] = c.name end
    end
    return list
  end

  it("is the same every time, at most 300 kernels, with what runs untuned and every tile that decodes", function()
    local s = pool { "c", "avx2" }
    local list = names_of(s)
    assert.is_true(#list > 250 and #list <= 300)
    assert.same(list, names_of(pool { "c", "avx2" }))
    local is = {}
    for _, text in ipairs(list) do is[text] = true end
    for _, p in ipairs(untuned.points "avx2") do assert.is_true(is[name.of(p)]) end
    local tiles = candidates.tiles(s, false)
    for _, c in ipairs(tiles) do assert.is_true(is[c.name]) end
    assert.equal(#candidates.tiles(candidates.new { present = { "c", "avx2" } }, false), #tiles)
  end)

  it("has batch kernels of every code for every number of tokens there are", function()
    local function kinds(s)
      local seen = {}
      for _, c in ipairs(candidates.tiles(s, true)) do
        seen[("%s %s %d"):format(c.point.family, c.point.c, c.tokens)] = true
      end
      return seen
    end
    local present = { "c", "ssse3", "avx2", "avx512vnni" }
    assert.same(kinds(candidates.new { present = present, isas = { "avx512vnni" } }), kinds(pool(present)))
    assert.same(kinds(candidates.new { present = { "c", "avx2" } }), kinds(pool { "c", "avx2" }))
  end)

  it("has several settings of every tile, and all values of what is searched last", function()
    local seen, of = {}, {}
    for _, c in ipairs(candidates.all(pool { "c", "avx2" }, false)) do
      for _, p in ipairs { "u", "p", "h" } do seen[p .. c.point[p]] = true end
      local tile = c.name:gsub("u%d+p%d+h%d", "")
      of[tile] = (of[tile] or 0) + 1
    end
    for _, n in pairs(of) do assert.is_true(n >= 2) end
    for _, value in ipairs(space.family("mad").space.p) do assert.is_true(seen["p" .. value]) end
    assert.is_true(seen.u2 and seen.h1 and seen.h2)
  end)

  it("keeps neighbours and hints within it", function()
    local s = pool { "c", "avx2" }
    local is = {}
    for _, text in ipairs(names_of(s)) do is[text] = true end
    for _, c in ipairs(candidates.tiles(s, false)) do
      for _, near in ipairs(candidates.neighbours(s, c)) do assert.is_true(is[near.name]) end
    end
    local whole, outside = candidates.new { present = { "c", "avx2" } }, 0
    for _, p in ipairs(space.points("lut", "avx2")) do
      if not candidates.allowed(s, candidates.of(s, p)) then outside = outside + 1 end
      assert.is_true(candidates.allowed(whole, candidates.of(whole, p)))
    end
    assert.is_true(outside > 0)
  end)
end)

describe("an exhaustive search", function()
  after_each(fake.restore)

  local function searching(path, times)
    local s = fake.searching(path, times, "balanced")
    s.pool.small, s.pool.families, s.exhaustive = true, { "mad" }, true
    return s
  end

  it("times every candidate on every job, and finds what no stages lead to", function()
    local asked = {}
    -- the best is the oddest setting of the slowest tile
    local function times(point, tokens)
      local text = name.of(point)
      asked[text] = (asked[text] or 0) + 1
      if tokens > 1 then return 100 end
      return point.r == 64 and point.m == 8 and (point.p == 0 and 400 or 2000) or 1000
    end
    local s = searching(folder(), times)
    local choice = search.job(s, job(), {}, math.huge)
    for _, batches in ipairs { false, true } do
      for _, c in ipairs(candidates.all(s.pool, batches)) do assert.is_truthy(asked[c.name], c.name) end
    end
    local point = name.parse(choice.kernels[1].name)
    assert.same({ 64, 8, 0 }, { point.r, point.m, point.p })
    local tried, failed, left = search.tried(s, job())
    assert.is_true(tried >= #candidates.all(s.pool, false))
    assert.same({ 0, 0 }, { failed, left })
  end)

  it("takes up what an interrupted one measured", function()
    local path, asked, most = folder(), 0, 200
    local function times(...)
      asked = asked + 1
      if asked > most then error(require("measure").interruption, 0) end
      return fake.known_best(...)
    end
    assert.is_false((pcall(search.job, searching(path, times), job(), {}, math.huge)))
    most = math.huge
    local s = searching(path, times)
    assert.is_truthy(search.job(s, job(), {}, math.huge))
    local resumed = s.fresh
    s = searching(folder(), times)
    search.job(s, job(), {}, math.huge)
    assert.is_true(resumed <= s.fresh - 150)
  end)
end)

describe("the cost model", function()
  local function candidate(s, point)
    for key, value in pairs { family = "mad", isa = "avx2", c = "q2", n = 1, u = 1, h = 2, p = 64, g = 0 } do
      point[key] = point[key] or value
    end
    assert.is_nil(space.refuse(point))
    return candidates.of(s, point)
  end

  it("expects less of what loads, waits or strides more", function()
    local s, large = candidates.new { present = { "c", "avx2" } }, { m = 8192, k = 4096 }
    local function ns(point, machine)
      return cost.ns(candidate(s, point), large, machine or { threads = 2, read = 20 })
    end
    local usual = ns { r = 32, m = 32, a = 2 }
    assert.is_true(usual >= 8192 * 4096 / 4 / 20)
    assert.is_true(ns { r = 32, m = 32, a = 2, p = 0, h = 1 } > usual)
    assert.is_true(ns { r = 32, m = 8, a = 2 } > usual)
    assert.is_true(ns({ r = 32, m = 32, a = 2 }, { threads = 2, read = 10 }) > usual)
    assert.is_true(ns({ r = 32, m = 32, a = 2 }, { threads = 2, read = 20, ghz = 1 }) > usual)
    assert.is_true(ns { r = 32, m = 32, a = 2, u = 2 } < usual)
    assert.is_true(ns { r = 32, m = 8, a = 2, n = 4 } < ns { r = 32, m = 8, a = 2 })
  end)

  it("counts the vectors that have no register", function()
    local s = candidates.new { present = { "c", "avx2" } }
    local c = candidate(s, { r = 32, m = 32, a = 2 })
    local before = cost.ns(c, job(), {})
    c.step, c.code = nil, c.code:gsub("%f[%a]for %(int row", ("__m256i spilt = x;\n"):rep(20) .. "%0")
    assert.is_true(cost.ns(c, job(), {}) > before)
  end)

  it("knows how alike two orders are", function()
    assert.equal(1, cost.correlation({ 1, 2, 3, 9 }, { 10, 20, 30, 31 }))
    assert.equal(-1, cost.correlation({ 1, 2, 3 }, { 3, 2, 1 }))
    assert.is_true(math.abs(0.8 - cost.correlation({ 1, 2, 3, 4 }, { 1, 2, 4, 3 })) < 1e-12)
    assert.is_true(math.abs(cost.correlation({ 1, 1, 2, 2 }, { 1, 2, 1, 2 })) < 1e-12)
    assert.is_nil(cost.correlation({ 1, 1 }, { 1, 2 }))
    assert.same({ "b", "a", "c" }, cost.order({ "a", "b", "c" }, function(c) return c == "b" and 1 or 2 end))
  end)

  it("orders what is tried, and is judged by what was measured", function()
    local s, first
    local function expected(point) return cost.ns(candidates.of(s.pool, point), job(), { threads = 2 }) end
    local function times(point, tokens)
      if tokens > 1 then return 100 end
      first = first or point
      return expected(point)
    end
    s = fake.searching(folder(), times, "decode")
    s.pool.families = { "mad" }
    s.machine.read, s.machine.ghz = nil, nil
    assert.is_truthy(search.job(s, job(), {}, math.huge))
    local alike, n = search.agreement(s, job())
    fake.restore()
    assert.is_true(alike > 0.999, alike)
    assert.is_true(n > 10, n)
    local list = candidates.tiles(s.pool, false)
    assert.is_true(expected(list[1].point) > 0)
    assert.equal(name.of(untuned.points("avx2")[1]), name.of(first)) -- the reference, whatever it costs
  end)
end)

describe("a short second run", function()
  after_each(fake.restore)

  it("leaves what a long one found", function()
    local path = folder()
    local function searching()
      local s = fake.searching(path, fake.known_best, "balanced")
      s.pool.families = { "mad" }
      return s
    end
    local long = search.job(searching(), job(), {}, math.huge)
    local short = search.job(searching(), job(), {}, 0)
    assert.equal(long.kernels[1].name, short.kernels[1].name)
    assert.equal(#long.kernels, #short.kernels)
  end)
end)

describe("the machine's state", function()
  local good = { registers1 = 10, registers = 20, read = 30 }

  it("is named in plain words", function()
    local function words(seen) return state.text(state.words(seen, good, 2)) end
    assert.is_nil(words(good))
    assert.equal("stacked", words { registers1 = 10, registers = 10.5, read = 30 })
    assert.equal("crowded", words { registers1 = 7, registers = 14, read = 30 })
    assert.equal("memory busy", words { registers1 = 10, registers = 20, read = 20 })
    assert.equal("crowded, stacked, memory busy", words { registers1 = 7, registers = 7, read = 1 })
    assert.is_nil(state.text(state.words({ registers1 = 10, registers = 10, read = 30 }, good, 1)))
    assert.equal("stacked, crowded", state.text("stacked", "", { "crowded", "stacked" }))
    assert.equal("clean", state.explained(nil))
    assert.matches("^stacked %(our threads share a core", state.explained("stacked, unsteady"))
    for _, word in ipairs { "stacked", "crowded", "memory busy", "unsteady" } do
      assert.is_nil(state.explained(word):find("?", 1, true))
    end
    assert.is_false(state.bad(nil))
    assert.is_false(state.bad "unsteady")
    assert.is_true(state.bad "unsteady, stacked")
  end)

  it("is looked at when the last look is old, and judged by the best ever seen", function()
    local now, kept, seen = 0, {}, { registers1 = 10, registers = 20, read = 15 }
    local w = state.watch { threads = 2, now = function() return now end, ask = function() return seen end,
      keep = function(_, text) kept[#kept + 1] = text or "clean" end }
    assert.is_nil(state.look(w))
    seen = good
    assert.is_nil(state.look(w))
    assert.equal(1, #kept)
    now = 10
    assert.is_nil(state.look(w))
    seen = { registers1 = 10, registers = 11, read = 15 }
    assert.equal("stacked, memory busy", state.look(w, true))
    seen = nil
    assert.equal("stacked, memory busy", state.look(w, true)) -- no answer: no news
    assert.same({ "clean", "clean", "stacked, memory busy" }, kept)
    assert.equal("stacked, memory busy", w.worst)
  end)

  it("is remembered from run to run, by number of threads", function()
    local path = folder()
    local s = store.open(path)
    store.add(s, { kind = "machine", threads = 2, registers1 = 10, registers = 19, read = 30 })
    store.add(s, { kind = "machine", threads = 2, registers1 = 9, registers = 20, read = 31, state = "crowded" })
    store.close(s)
    s = store.open(path)
    assert.same({ registers1 = 10, registers = 20, read = 31 }, store.best(s, 2))
    assert.is_nil(store.best(s, 1))
  end)
end)

describe("a search on a machine that is not always itself", function()
  after_each(fake.restore)

  -- times are the known ones; one kind of kernel takes world.slow times as long, as others' work would have it
  local function crowded(path, world, objective)
    local s = fake.searching(path, function(point, tokens)
      local ns = fake.known_best(point, tokens)
      return point.r == 32 and tokens == 1 and ns * world.slow or ns
    end, objective or "decode")
    s.pool.families = { "mad" }
    s.look = function() return world.state end
    return s
  end

  it("marks what a bad state touched, and takes it anew once the state is good", function()
    local path, world = folder(), { slow = 5, state = "crowded" }
    local s = crowded(path, world)
    local choice = search.job(s, job(), {}, math.huge)
    assert.equal("crowded", choice.state)
    assert.is_true(search.touched(s, job()) >= 4)
    assert.is_not.equal(32, name.parse(choice.kernels[1].name).r)
    -- still bad: what is known stands
    s = crowded(path, world)
    search.job(s, job(), {}, math.huge)
    assert.equal(0, s.fresh)
    world.slow, world.state = 1, nil
    s = crowded(path, world)
    choice = search.job(s, job(), {}, math.huge)
    assert.is_true(s.fresh > 0)
    assert.equal(32, name.parse(choice.kernels[1].name).r)
    assert.is_nil(choice.state)
    assert.equal(0, search.touched(s, job()))
    s = crowded(path, world)
    search.job(s, job(), {}, math.huge)
    assert.equal(0, s.fresh)
  end)

  it("sees that the state turned bad while it raced", function()
    local path, world, looks = folder(), { slow = 1 }, 0
    local s = crowded(path, world)
    s.look = function()
      looks = looks + 1
      return looks > 3 and "memory busy" or nil
    end
    local choice = search.job(s, job(), {}, math.huge)
    assert.is_true(search.touched(s, job()) >= 1)
    assert.equal("memory busy", choice.state)
  end)

  it("calls unsteady what a reference does not repeat, and decides all the same", function()
    local n = 0
    local s = fake.searching(folder(), function(point, tokens)
      n = n + 1
      return fake.known_best(point, tokens) * (n % 3 == 0 and 1 or 2)
    end, "decode")
    s.pool.families = { "mad" }
    local choice = search.job(s, job(), {}, math.huge)
    assert.matches("unsteady", choice.state)
    assert.equal(0, search.touched(s, job()))
    assert.is_true(choice.kernels[1].confidence >= 0 and choice.kernels[1].confidence <= 1)
  end)

  it("keeps confidence and state in the table, by replay, too", function()
    local path = folder()
    local s = crowded(path, { slow = 5, state = "stacked" })
    store.add(s.store, { kind = "run", id = "r", cpu = "A CPU/1", arch = "x86_64", compiler = "cc", threads = 2,
      objective = "decode", memory = 2 ^ 28, present = s.pool.present, isas = s.pool.isas, jobs = { job() } })
    store.add(s.store, { kind = "read", run = "r", span = 0, gbps = 200 })
    local choice = search.job(s, job(), {}, math.huge)
    local t = assert(replay.file(path .. "/measurements.jsonl"))
    assert.equal("stacked", t.jobs[1].state)
    assert.equal(choice.kernels[1].confidence, t.jobs[1].kernels[1].confidence)
    local back = assert(literal.read(dispatch.text(t)))
    assert.equal("stacked", back.jobs[1].state)
    assert.is_number(back.jobs[1].kernels[1].confidence)
    assert.is_true(dispatch.current(back.jobs[1]))
  end)
end)

describe("the table on a screen", function()
  local function jobs()
    local long = "mad_q2r64_m64n1a4u1p128h2__avx512vnni"
    return { { role = "gate_up", m = 13824, k = 2560, gain = 1.05, prompt_gain = 1, state = "crowded", kernels = { {
      name = long, gbps = 30.14, share = 0.92, confidence = 0.97, runner_up = long, margin = 0.02 } } } }
  end

  it("fits any terminal, and says the same wherever there is room", function()
    for _, most in ipairs { 60, 80, 100, 160 } do
      local text = screen.text(jobs(), most)
      for line in text:gmatch("[^\n]+") do assert.is_true(#line <= most, line) end
      for _, word in ipairs { "gate_up 13824x2560", jobs()[1].kernels[1].name, "30.1", "92%", "1.05x", "97%*" } do
        assert.is_truthy(text:find(word, 1, true), most .. " " .. word)
      end
    end
    assert.is_truthy(screen.text(jobs(), math.huge):find("(+2.0%)", 1, true))
    assert.is_truthy(screen.text(jobs(), 60):find("(+2.0%)", 1, true))
  end)

  it("breaks lines at spaces only", function()
    assert.equal("  a bb\n  ccc", screen.wrapped("  ", "a bb ccc", 7))
    assert.equal("one\n  two", screen.wrapped("", "one two", 6))
    assert.equal("longerthanthat", screen.wrapped("", "longerthanthat", 6))
  end)
end)

describe("the proof", function()
  it("gives ratios with bounds, the same every time", function()
    local a, b = {}, {}
    for i = 1, 31 do a[i], b[i] = 100 * (1 + i % 3 / 10), 110 * (1 + i % 3 / 10) end
    local r = ratio(a, b)
    assert.is_true(math.abs(r.ratio - 100 / 110) < 1e-9 and math.abs(r.high - r.low) < 1e-9)
    for i = 1, 31 do b[i] = 110 * (1 + (i * 7 % 11) / 20) end
    r = ratio(a, b)
    assert.is_true(r.low < r.ratio and r.ratio < r.high)
    assert.same(r, ratio(a, b))
  end)

  -- Tables as if two searches had chosen these; clocks: ns by name, drifting from round to round.
  local function proof(choices, ns)
    local pool, jobs, tables = candidates.new { present = { "c", "avx2" } }, {}, { {}, {} }
    for i in ipairs(choices) do
      jobs[i] = { role = "o", m = 256 * i, k = 256 }
      for side = 1, 2 do
        tables[side][i] = { role = "o", m = 256 * i, k = 256, kernels = { { name = choices[i][side] } } }
      end
    end
    local rows = prove.rows(pool, jobs, { jobs = tables[1] }, { jobs = tables[2] })
    local calls, drift = 0, 1
    local sums, times = prove.time(rows, 31, function(c)
      calls, drift = calls + 1, drift * 1.001
      return (ns[c.name] or 1000) * drift * (1 + (calls * 37 % 17) / 500)
    end)
    return prove.verdict(rows, sums, times), calls
  end

  local default = name.of(untuned.points("avx2")[1])
  local fast, slow = "mad_q2r32_m32n1a2u1p128h2__avx2", "mad_q2r16_m16n1a1u1p64h2__avx2"

  it("accepts a choice as good as the exhaustive one, and times a kernel of both once", function()
    local v, calls = proof({ { fast, fast }, { fast, fast } }, { [fast] = 900 })
    assert.same({ 1, 1, 1 }, { v.over_choice.ratio, v.over_choice.low, v.over_choice.high })
    assert.is_true(v.finds_it and v.never_below_default)
    assert.is_true(v.gain.low > 1.08 and v.gain.high < 1.14)
    assert.equal(2 * 2 * 31, calls)
    v.machine, v.searched = nil, { exhaustive = { timed = 9, left = 0 }, choice = { timed = 5, left = 4 } }
    for _, most in ipairs { 60, 80, 160 } do
      local text = prove.text(v, most)
      for line in text:gmatch("[^\n]+") do assert.is_true(#line <= most, line) end
      assert.matches("exhaustive/choice +1%.000", text)
    end
  end)

  it("refuses one that is slower, and says so of one below the default", function()
    local v = proof({ { fast, slow }, { fast, fast } }, { [fast] = 900, [slow] = 1100 })
    assert.is_false(v.finds_it)
    assert.is_true(v.over_choice.high < 0.95)
    assert.is_true(v.never_below_default == (v.over_choice.ratio >= v.over_default.low))
    v = proof({ { fast, slow } }, { [fast] = 900, [slow] = 1500 })
    assert.is_false(v.never_below_default)
    v.searched = { exhaustive = { timed = 9, left = 0 }, choice = { timed = 5, left = 4 } }
    assert.matches("BELOW", prove.text(v, 100))
    assert.equal(default, v.jobs[1].default)
  end)

  it("stops at a kernel that fails", function()
    local pool = candidates.new { present = { "c", "avx2" } }
    local t = { jobs = { { role = "o", m = 8, k = 8, kernels = { { name = fast } } } } }
    local rows = prove.rows(pool, { { role = "o", m = 8, k = 8 }, { role = "down", m = 8, k = 8 } }, t, t)
    assert.equal(1, #rows)
    local sums, why = prove.time(rows, 3, function() return nil, "crash: signal 4" end)
    assert.is_nil(sums)
    assert.matches("crash: signal 4", why)
  end)
end)

describe("defaults for CPUs nobody tuned", function()
  local path = untuned.path
  after_each(function() untuned.path = path end)

  -- On one machine one tile is the best, on another another, and one is good on both.
  local function times(best)
    return function(point, tokens)
      if tokens > 1 then return 100 / (point.n or 1) + (point.r or 0) / 1000 end
      if point.a ~= 2 or point.r ~= point.m then return 1000 end
      return point.r == best and 500 or point.r == 8 and 520 or 900
    end
  end

  local function machines(...)
    local files = {}
    for i, best in ipairs { ... } do
      local at = folder()
      fake.tuned(at, "CPU number/" .. i, { job() }, times(best))
      files[i] = assert(records.load(at .. "/measurements.jsonl"))
    end
    return defaults.machines(files)
  end

  it("are the kernels best on average, not any machine's own best", function()
    local one, both = defaults.of(machines(32)), defaults.of(machines(32, 16))
    local function rows(list) return name.parse(list[#list].kernels[1].name).r end
    assert.equal(32, rows(one))
    assert.equal(8, rows(both))
    local entry = both[#both]
    assert.equal("avx2", entry.isa)
    assert.same({ "CPU number/1", "CPU number/2" }, entry.cpus)
    assert.equal(2, entry.kernels[1].machines)
    assert.is_true(math.abs(entry.decode - 500 / 520) < 1e-3)
    assert.is_true(#entry.kernels > 1)
    for i = 2, #entry.kernels do
      assert.is_true(entry.kernels[i].tokens > entry.kernels[i - 1].tokens)
      assert.is_true(entry.kernels[i].mean > 0)
    end
  end)

  it("are what a build links, under every Lua, until a kernel changes", function()
    local at = folder()
    local list = defaults.of(machines(32, 16))
    untuned.path = at .. "/defaults.lua"
    write(untuned.path, defaults.text(list))
    assert.equal(list[#list].kernels[1].name, name.of(untuned.points("avx2")[1]))
    assert.equal(#list[#list].kernels, #untuned.points("avx2"))
    assert.equal(list[#list].kernels[1].name, candidates.default(candidates.new { present = { "c", "avx2" } })[1].name)
    assert.same(space.defaults("mad", "ssse3"), untuned.points("ssse3"))
    local script = at .. "/choices.lua"
    write(script, ([[
      package.path = "gen/?.lua;" .. package.path
      require("untuned").path = "%s"
      local choose, name = require "choose", require "name"
      local linked = {}
      for _, p in ipairs(choose.points("x86_64", "default")) do linked[name.of(p)] = true end
      for _, p in ipairs(require("untuned").points("avx2")) do assert(linked[name.of(p)]) end
      io.write((choose.tables("x86_64", {})))
    ]]):format(untuned.path))
    local text = run("luajit " .. script)
    assert.is_truthy(text:find(('{"avx2", 0, 0, 0, {"%s"'):format(list[#list].kernels[1].name), 1, true))
    for _, lua in ipairs { "lua5.1", "lua5.4" } do assert.equal(text, (run(lua .. " " .. script))) end
    for what, change in pairs { stale = { 'hash = "', 'hash = "0' }, other = { "__avx2", "__ssse3" },
      nonsense = { "kernels = {", "kernels = 3, x = {" }, none = { "^.*$", "os.exit(3)" } } do
      untuned.path = ("%s/%s.lua"):format(at, what)
      write(untuned.path, (defaults.text(list):gsub(change[1], change[2])))
      assert.same(space.defaults("mad", "avx2"), untuned.points("avx2"), what)
    end
  end)

  it("do not change what was decided before them", function()
    local at, m = folder(), folder()
    local usual = {}
    for i, p in ipairs(untuned.points "avx2") do usual[i] = name.of(p) end
    fake.tuned(m, "CPU number/1", { job() }, times(32))
    local lines = read(m .. "/measurements.jsonl")
    write(m .. "/measurements.jsonl", (lines:gsub('"kind":"run"', ('"kind":"run","untuned":["%s"]'):format(
      table.concat(usual, '","')))))
    local before = dispatch.text((assert(replay.file(m .. "/measurements.jsonl"))))
    write(at .. "/defaults.lua", defaults.text(defaults.of(machines(16))))
    untuned.path = at .. "/defaults.lua"
    assert.is_not.equal(usual[1], name.of(untuned.points("avx2")[1]))
    assert.equal(before, dispatch.text((assert(replay.file(m .. "/measurements.jsonl")))))
  end)

  it("are left alone where what would run otherwise was not measured, or only decoding was", function()
    local all = machines(32)
    local usual = name.of(space.defaults("mad", "avx2")[1])
    local kept = all[1].times[usual]
    all[1].times[usual] = nil
    assert.same({}, defaults.of(all))
    all[1].times[usual] = kept
    for text in pairs(all[1].times) do
      if (name.parse(text).n or 1) > 1 then all[1].times[text] = nil end
    end
    assert.same({}, defaults.of(all))
  end)

  it("come from a folder of results and from exported files", function()
    local results = folder()
    local at = results .. "/" .. host.slug "CPU number/1"
    fake.tuned(at, "CPU number/1", { job() }, times(32))
    local said, status = run("luajit tune/tune.lua defaults --results " .. results)
    assert.equal("0", status, said)
    assert.matches("defaults%.lua: 1 instruction sets, from 1 CPUs", said)
    local list = assert(literal.read(read(results .. "/defaults.lua")))
    assert.equal("avx2", list[1].isa)
    assert.equal(emit.kernel(name.parse(list[1].kernels[1].name)).hash, list[1].kernels[1].hash)
    said, status = run("luajit tune/tune.lua defaults --results " .. folder())
    assert.equal("3", status)
    assert.matches("nothing is measured there", said)
    said = run(("luajit tune/tune.lua defaults --results %s -o - %s/measurements.jsonl"):format(folder(), at))
    assert.matches("^%-%- What a CPU that nobody tuned runs", said)
    assert.is_nil(linux.read(results .. "/none"))
  end)
end)
