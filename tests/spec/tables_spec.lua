-- Tables of a machine without a clock: what is measured within a budget, kept, measured anew and left out, and what
-- pages and charts say of it, on invented figures. That all of it runs for real is tests/cli/tables.sh.
package.path = "tests/spec/?.lua;bench/?.lua;tune/?.lua;gen/?.lua;" .. package.path

local json = require "cjson"
local linux = require "linux"
local fake = require "fake"
local list = require "tables.list"
local collect = require "tables.collect"
local runs = require "tables.runs"
local run = require "tables.run"
local keep = require "tables.keep"
local figures = require "tables.figures"
local samples = require "tables.samples"
local show = require "tables.show"
local kernels = require "tables.kernels"
local page = require "tables.page"
local chart = require "tables.chart"
local write = require "tables.write"

local function settings(folder)
  return { tritune = "build/tritune", root = "/project/", build = "build", folder = folder or "none", scratch = folder,
    synth = "2b4t", dense = "3b", cores = 2, tuned = false, has_table = false }
end

-- -- invented figures --------------------------------------------------------------------------------------------

local function bench_row(prompt, gen, speed, depth, threads)
  return { n_prompt = prompt, n_gen = gen, n_depth = depth or 0, n_threads = threads or 2, model_n_params = 2e9,
    samples_ts = { speed, 1.1 * speed, 0.9 * speed }, peak_rss_mib = 1500, load_ms = 1000, share = gen > 0 and 0.9 or
    json.null, bytes_per_token = { weights = 6, head = 3, kv = 1 } }
end

local function kernel_name(isa, m) return ("mad_q2r16_m%dn1a2u1p64h2__%s"):format(m, isa) end

local function kernel_row(isa, m, shape, rate)
  return { name = ("%s/%s/threads:2/cold/manual_time"):format(kernel_name(isa, m), shape), run_type = "iteration",
    bytes = rate / 4, weights = rate, operations = 2 * rate, percent = 50 }
end

-- What a turn's command would print.
local function printed(t)
  if t.kind == "kernels" then
    local shape = table.concat(t.words, " "):match("%-%-shapes (%d+x%d+)")
    return { kernel_row("avx2", 16, shape, 8e9), kernel_row("c", 16, shape, 1e9) }
  end
  local rows, words = {}, " " .. table.concat(t.words, " ") .. " "
  local function each(option, least, f)
    for n in (words:match(" " .. option .. " (%S+) ") or least):gmatch("%d+") do f(tonumber(n)) end
  end
  each("%-t", "2", function(threads)
    each("%-d", "0", function(depth)
      each("%-p", "0", function(p)
        if p > 0 then rows[#rows + 1] = bench_row(p, 0, 100 * threads, depth, threads) end
      end)
      each("%-n", "0", function(n)
        if n > 0 then rows[#rows + 1] = bench_row(0, n, 20 * threads, depth, threads) end
      end)
    end)
  end)
  return rows
end

local function outcome(x, refused)
  local turns, command = {}, {}
  for i, t in ipairs(x.turns) do
    local rounds = {}
    for j = 1, x.rounds do rounds[j] = printed(t) end
    turns[i] = refused and { label = t.label, refused = refused } or { label = t.label, rounds = rounds }
    command[i] = runs.shown("/project/", t.words)
  end
  return { seconds = x.seconds, command = command, notices = {}, turns = turns }
end

-- A machine of its own: o.folder; slow: how much longer runs take than was estimated; fails(run) -> why, refuses(run)
-- -> why; stop: interrupted after so many runs. Runs are listed in m.asked, lines in m.said.
local function machine(o)
  local m = { asked = {}, said = {}, time = 0, slow = o.slow or 1 }
  function m.collect(more)
    local c = { tables = list, settings = settings(o.folder), folder = o.folder .. "/bench", budget = 1e6, here = {
      machine = "cpu", commit = "abc1234", programs = { tritune = "1", kernels = "1", builds = "1" } },
      now = function() return m.time end, stamp = function() return "2026-11-24T12:00:00Z" end,
      interrupted = function() return o.stop ~= nil and #m.asked >= o.stop end,
      say = function(...) m.said[#m.said + 1] = (...):format(select(2, ...)) end, status = function() end,
      unwanted = function() return nil end, measure = function(x)
        m.asked[#m.asked + 1] = x.id
        m.time = m.time + m.slow * x.seconds
        local why = o.fails and o.fails(x)
        if why then return nil, why end
        local out = outcome(x, o.refuses and o.refuses(x))
        out.seconds = m.slow * x.seconds
        return out
      end }
    for k, v in pairs(more or {}) do c[k] = v end
    m.plan, m.found, m.interrupted = collect.all(c)
    m.here = c.here
    return m.plan
  end
  function m.write(more)
    local w = { tables = list, settings = settings(o.folder), plan = m.plan, found = m.found, folder = o.folder,
      facts = { cores = 2, memory = "24 GiB", kernel = "6.1" }, root = o.folder .. "/", here = m.here,
      say = function(...) m.said[#m.said + 1] = (...):format(select(2, ...)) end }
    for k, v in pairs(more or {}) do w[k] = v end
    m.failed = write.all(w)
    return fake.read(o.folder .. "/tables.md")
  end
  return m
end

local function folder()
  local path = fake.folder()
  assert(linux.mkdir(path .. "/bench", 448))
  return path
end

local function count(plan, state)
  local n = 0
  for _, x in ipairs(plan) do if x.state == state then n = n + 1 end end
  return n
end

local function by_id(plan, id)
  for _, x in ipairs(plan) do if x.id == id then return x end end
end

describe("runs", function()
  local plan = collect.plan(list, settings("none"))

  it("are in the order of their importance, and there are some of every table at the first levels", function()
    local seen = {}
    for i, x in ipairs(plan) do
      assert.is_true(i == 1 or plan[i - 1].level <= x.level, x.id)
      assert.is_true(x.seconds > 0 and x.repetitions >= 1 and #x.turns > 0 and #x.key > 0, x.id)
      seen[x.table] = math.min(seen[x.table] or 9, x.level)
    end
    for _, t in ipairs(list) do assert.is_true(seen[t.name] <= 2, t.name) end
  end)

  it("are what they are by their keys, whatever the folder is called, and repetitions do not count", function()
    local other, keys = settings("none"), {}
    other.root, other.build = "/elsewhere/", "/elsewhere/build"
    local here = settings("none")
    here.build = "/project/build"
    for i, x in ipairs(collect.plan(list, here)) do
      local same = collect.plan(list, other)[i]
      assert.equal((same.key:gsub("none", "")), (x.key:gsub("none", "")))
      assert.is_true(keys[x.key] == nil or keys[x.key] == x.id, x.id)
      keys[x.key] = x.id
    end
  end)

  it("ask for no more threads than there are, and for all of them", function()
    assert.same({ 1 }, runs.threads_to(1))
    assert.same({ 1, 2, 3 }, runs.threads_to(3))
    assert.same({ 1, 2, 4, 8, 12 }, runs.threads_to(12))
  end)
end)

describe("a budget", function()
  it("is spent on what matters most; what does not fit is said, and smaller ones behind it still run", function()
    local m = machine { folder = folder() }
    m.collect { budget = 25 }
    assert.is_true(m.time <= 25)
    assert.equal("measured", by_id(m.plan, "sizes-125m").state)
    local big = by_id(m.plan, "sizes-100b")
    assert.equal("left out", big.state)
    assert.is_true(big.would > 25)
    local left_out, behind = false, 0
    for _, x in ipairs(m.plan) do
      if x.state == "measured" and left_out then behind = behind + 1 end
      left_out = left_out or x.state == "left out"
    end
    assert.is_true(behind > 0)
  end)

  it("knows after a few runs that a machine is slower than estimated", function()
    local m = machine { folder = folder(), slow = 8 }
    m.collect { budget = 300 }
    assert.is_true(m.time <= 340, tostring(m.time))
    assert.is_true(count(m.plan, "measured") >= 3)
  end)

  it("of nothing measures nothing, and one of plenty everything", function()
    local m = machine { folder = folder() }
    m.collect { budget = 0 }
    assert.equal(0, #m.asked)
    m.collect()
    assert.equal(#m.plan, count(m.plan, "measured"))
  end)

  it("leaves out what nobody asked for", function()
    local m = machine { folder = folder() }
    m.collect { unwanted = function(x) return x.table ~= "load" and "not asked for" or nil end }
    assert.same({ "load" }, m.asked)
  end)
end)

describe("what was measured", function()
  it("is not measured again", function()
    local path = folder()
    machine({ folder = path }).collect()
    local m = machine { folder = path }
    m.collect()
    assert.same({}, m.asked)
    assert.equal(#m.plan, count(m.plan, "kept"))
  end)

  it("is kept when Ctrl-C ends the rest, and the next run goes on", function()
    local path = folder()
    local m = machine { folder = path, stop = 3 }
    m.collect()
    assert.is_true(m.interrupted)
    assert.equal(3, count(m.plan, "measured"))
    assert.is_truthy(m.write():find("interrupted", 1, true))
    local rest = machine { folder = path }
    rest.collect()
    assert.equal(#m.plan - 3, #rest.asked)
  end)

  it("is measured again for another binary, another machine, or --again", function()
    local path = folder()
    machine({ folder = path }).collect()
    for _, more in ipairs { { again = true },
      { here = { machine = "cpu", commit = "d", programs = { tritune = "2", kernels = "2", builds = "2" } } },
      { here = { machine = "other", commit = "d", programs = { tritune = "2", kernels = "2", builds = "2" } } } } do
      local m = machine { folder = path }
      m.collect(more)
      assert.equal(#m.plan, #m.asked)
    end
  end)

  it("of an earlier build is shown until it is measured anew, and said to be that", function()
    local path = folder()
    machine({ folder = path }).collect()
    local m = machine { folder = path }
    m.collect { budget = 0, here = { machine = "cpu", commit = "d", programs = { tritune = "2", kernels = "1",
      builds = "1" } } }
    local text = m.write()
    assert.is_truthy(text:find("Of an earlier build, not measured again yet: sizes-125m", 1, true))
    assert.is_truthy(text:find("| 125m |", 1, true))
  end)

  it("counts for fewer repetitions, but not for more", function()
    local path = folder()
    local m = machine { folder = path }
    m.collect { unwanted = function(x) return x.id ~= "dense" and "no" or nil end }
    assert.same({ "dense", "dense" }, m.asked)
    m = machine { folder = path }
    m.collect { unwanted = function(x) return x.id ~= "dense" and "no" or nil end }
    assert.same({}, m.asked)
  end)

  it("is measured anew with a line, where its file is torn or makes no sense", function()
    local path = folder()
    machine({ folder = path }).collect()
    local whole = fake.read(keep.path(path .. "/bench", "threads"))
    local bad = { whole:sub(1, 200), "", "null", "[]", '{"id":"threads"}', (whole:gsub('"threads"', '"prompts"')),
      (whole:gsub('"turns":%[.*', '"turns":[]}')), (whole:gsub('"seconds":[%d.]+', '"seconds":-1')),
      (whole:gsub('"rounds":%[', '"rounds":[{"x":[]},')), ("["):rep(5000) }
    for i, text in ipairs(bad) do
      assert.are_not.equal(whole, text)
      fake.write(keep.path(path .. "/bench", "threads"), text)
      local m = machine { folder = path }
      m.collect()
      assert.same({ "threads" }, m.asked, "case " .. i)
      assert.is_truthy(table.concat(m.said, "\n"):find("threads.json[^\n]*measured anew"), "case " .. i)
    end
  end)
end)

-- -- what is written ---------------------------------------------------------------------------------------------

-- Whether every table of a page is one: as many cells in each line.
local function well_formed(text)
  local width, tables = nil, 0
  for line in text:gmatch("([^\n]*)\n") do
    local _, bars = line:gsub("|", "")
    if line:sub(1, 1) == "|" then
      assert.is_true(line:sub(-1) == "|" and (not width or width == bars), line)
      tables, width = tables + (width and 0 or 1), bars
    else
      assert.equal(0, bars, line)
      width = nil
    end
  end
  local _, fences = text:gsub("\n```", "")
  assert.equal(0, fences % 2)
  return tables
end

local function gnuplot_is_here() return (fake.run("gnuplot --version"):find("gnuplot", 1, true)) end

-- Whether a text is XML: by xmllint, else by its tags.
local function is_xml(path)
  local said, status = fake.run("xmllint --noout " .. path)
  if status == "127" then
    local text, depth = fake.read(path):gsub("<%?.-%?>", ""):gsub("<!%-%-.-%-%->", ""), 0
    for close, empty in text:gmatch("<(/?)[^<>]-(/?)>") do
      if empty == "" then depth = depth + (close == "/" and -1 or 1) end
      assert.is_true(depth >= 0, path)
    end
    return depth == 0
  end
  return status == "0", said
end

describe("a page", function()
  it("has every table, with machine, date, commit, commands and noise", function()
    local m = machine { folder = folder() }
    m.collect()
    local text = m.write()
    assert.equal(#list, well_formed(text))
    for section in (text .. "\n## "):gmatch("## .-\n%f[#]%f[^\n]") do
      for _, word in ipairs { "cpu, 2 cores, 24 GiB, Linux 6.1", "2026-11-24", "commit abc1234", "Noise: ", "```\n" } do
        assert.is_truthy(section:find(word, 1, true), word .. ": " .. section)
      end
    end
    assert.is_nil(text:find("Not measured", 1, true))
    assert.is_nil(text:find("/project/", 1, true))
    assert.is_false(m.failed)
  end)

  it("has the median and the spread of samples of all rounds", function()
    local m = machine { folder = folder() }
    m.collect()
    assert.is_truthy(m.write():find("| 2 | 40.0 (36.0 to 44.0) | 90 % | 200 (180 to 220) |", 1, true))
  end)

  it("is the same for the same figures", function()
    local path = folder()
    local m = machine { folder = path }
    m.collect()
    local first = m.write()
    m = machine { folder = path }
    m.collect()
    assert.equal(first, m.write())
  end)

  it("says what there was no time for, and what failed, and why", function()
    local m = machine { folder = folder(), fails = function(x) return x.id == "sizes-1b" and "exit 6: wrong | bad" end }
    m.collect { budget = 60 }
    local text = m.write()
    well_formed(text)
    assert.is_truthy(text:find("Not measured (exit 6: wrong   bad): sizes-1b.", 1, true))
    assert.is_truthy(text:find("Not measured %(more than the budget left%): [^\n]*sizes%-100b %(about %d+ s%)"))
    assert.is_true(m.failed)
  end)

  it("has the bytes of what does not fit", function()
    local m = machine { folder = folder(), refuses = function(x)
      return x.id == "sizes-100b" and "tritune bench: this model takes 20480 MiB (all), and 3072 are allowed" end }
    m.collect()
    assert.is_truthy(m.write():find("| 100b |  |  | takes 20.0 GiB | does not fit |  | does not fit |", 1, true))
  end)
end)

describe("the main table", function()
  it("goes between the marks in README.md, and nowhere else", function()
    local path = folder()
    local m = machine { folder = path }
    m.collect()
    fake.write(path .. "/README.md", "# a\n<!-- tables -->\nold\n<!-- /tables -->\nb\n")
    m.write { readme = true }
    local text = fake.read(path .. "/README.md")
    assert.is_truthy(text:find("^# a\n<!%-%- tables %-%->\n.*| 2b4t |.*\n<!%-%- /tables %-%->\nb\n$"))
    assert.is_nil(text:find("old", 1, true))
    assert.equal(text, page.placed(text, fake.read(path .. "/readme.md")))
  end)

  it("is refused without both marks, once each, in order", function()
    for _, text in ipairs { "", "<!-- tables -->", "<!-- /tables --><!-- tables -->",
      "<!-- tables --><!-- tables --><!-- /tables -->", "<!-- tables --><!-- /tables --><!-- /tables -->" } do
      local placed, why = page.placed(text, "x")
      assert.is_nil(placed)
      assert.is_truthy(why:find("<!-- /tables -->", 1, true))
    end
  end)
end)

describe("charts", function()
  it("are left out with one line where gnuplot is missing", function()
    local m = machine { folder = folder() }
    m.collect()
    local text = m.write { gnuplot = "/none/gnuplot" }
    assert.equal(#list, well_formed(text))
    assert.is_nil(text:find(".svg", 1, true))
    local _, lines = table.concat(m.said, "\n"):gsub("apt install gnuplot%-nox", "")
    assert.equal(1, lines)
  end)

  it("are of every table, XML, and the same bytes for the same figures", function()
    if not gnuplot_is_here() then return pending("gnuplot is missing") end
    local path = folder()
    local m = machine { folder = path }
    m.collect()
    local text, first = m.write(), {}
    for _, t in ipairs(list) do
      local svg = ("%s/%s.svg"):format(path, t.name)
      assert.is_truthy(text:find(("](%s.svg)"):format(t.name), 1, true))
      assert.is_true(is_xml(svg))
      first[t.name] = fake.read(svg)
      assert.is_truthy(first[t.name]:find("<svg", 1, true) and #first[t.name] < 100000)
    end
    m.write()
    for _, t in ipairs(list) do assert.equal(first[t.name], fake.read(("%s/%s.svg"):format(path, t.name))) end
  end)

  it("have nothing to draw without rows, and take labels of any text", function()
    assert.is_nil(chart.script { show.bars("a", "b", {}, show.decoded) })
    local none = { { title = "", points = {} } }
    assert.is_nil(chart.script { { kind = "lines", title = "", x = "", y = "", series = none } })
    if not gnuplot_is_here() then return pending("gnuplot is missing") end
    local path = folder()
    local one = figures.of { 1 }
    local script = chart.script { { kind = "bars", title = 'a"b\\', y = "$x`date`", bars = {
      { label = "<&>\"'_^{}\nEND\n", y = one }, { label = "", y = one } } } }
    fake.write(path .. "/a.svg", assert(chart.svg(script, path .. "/script")))
    assert.is_true(is_xml(path .. "/a.svg"))
  end)
end)

-- -- figures and rows --------------------------------------------------------------------------------------------

describe("figures", function()
  it("are medians with extremes, of three digits", function()
    assert.is_nil(figures.of {})
    assert.same({ median = 2.5, least = 1, greatest = 4, count = 4 }, figures.of { 4, 1, 2, 3 })
    assert.equal("2.50 (1.00 to 4.00)", figures.text(figures.of { 4, 1, 2, 3 }))
    assert.equal("7.00", figures.text(figures.of { 7 }))
    assert.same({ "0.568", "1.00", "9.99", "10.0", "99.9", "100", "3471" }, { figures.number(0.568), figures.number(1),
      figures.number(9.99), figures.number(9.996), figures.number(99.94), figures.number(99.96),
      figures.number(3471.2) })
    assert.same({ "1.50 GiB", "100 MiB", "" }, { figures.bytes(1.5 * 2 ^ 30), figures.bytes(100 * 2 ^ 20),
      figures.bytes(nil) })
    assert.equal(0.6, figures.noise(figures.of { 4, 1, 2, 3 }))
  end)
end)

describe("rows", function()
  it("put the samples of all rounds together, and leave out rows that have none", function()
    local empty = bench_row(8, 0, 1)
    empty.samples_ts = json.null
    local rows = samples.rows { rounds = { { bench_row(0, 16, 10), empty }, { bench_row(0, 16, 20), empty } } }
    assert.equal(1, #rows)
    assert.same({ median = 14.5, least = 9, greatest = 22, count = 6 }, rows[1].speed)
    assert.equal(0.1, rows[1].kv)
  end)

  it("of kernels are the best of each family, layout and instruction set", function()
    local record = { turns = { { rounds = { { kernel_row("avx2", 16, "256x1024", 1e9),
      kernel_row("avx2", 8, "256x1024", 2e9), kernel_row("c", 16, "256x1024", 5e8), { name = "none of ours" },
      { run_type = "iteration", name = "bad_q9r9_x__none/1x1/threads:1/cold" } } } } } }
    local best = kernels.best(kernels.rows(record), "weights")
    assert.same({ kernel_name("avx2", 8), kernel_name("c", 16) }, { best[1].kernel, best[2].kernel })
    assert.same({ 2, 0.5, 0.5 }, { best[1].weights.median, best[1].gbps.median, best[1].percent })
  end)

  it("of dense weights have the figures of a program that was faster with them, and its name", function()
    local path = folder()
    local function versus(verdict)
      fake.write(path .. "/bench/versus-q4_0.json", json.encode { rows = { { peer = "theirs", test = "tg128",
        n_threads = 2, verdict = verdict, theirs = { samples = { 70, 80, 90 } } },
        { peer = "broken", verdict = "slower" }, json.null } })
    end
    local m = machine { folder = path }
    m.collect()
    versus "slower"
    assert.is_truthy(m.write():find("| Q4_0 |[^\n]*| 80.0 %(70.0 to 90.0%) |[^\n]*| decode by theirs %(tg128%) |"))
    versus "faster"
    assert.is_nil(m.write():find("by theirs", 1, true))
    fake.write(path .. "/bench/versus-q4_0.json", "{")
    assert.is_nil(m.write():find("by theirs", 1, true))
  end)
end)

-- -- processes ---------------------------------------------------------------------------------------------------

describe("a run", function()
  local path, runner
  local function measured(script, more, seconds)
    fake.write(path .. "/program", "#!/bin/sh\n" .. script)
    os.execute("chmod +x " .. path .. "/program")
    local x = { turns = { { kind = "bench", label = "a", repetitions = 2, words = { path .. "/program", "-p", "1" } } },
      rounds = 2 }
    for k, v in pairs(more or {}) do x[k] = v end
    return run.measure(runner, x, linux.now() + (seconds or 20))
  end

  before_each(function()
    path = folder()
    runner = run.new { root = path .. "/", scratch = path }
  end)

  it("is its command's rows in rounds, and what was said on stderr once", function()
    local out = assert(measured('echo "tritune: $0\nabout 3 s" >&2; echo "[{\\"args\\": \\"$*\\"}]"'))
    local row = { args = "-p 1 -r 2 -o json" }
    assert.same({ { label = "a", rounds = { { row }, { row } } } }, out.turns)
    assert.same({ "a: tritune: program" }, out.notices)
    assert.same({ "program -p 1 -r 2 -o json" }, out.command)
  end)

  it("keeps a receipt of each process, where there are any, which its command does not tell of", function()
    runner.receipts = path
    local out = assert(measured('eval "last=\\${$#}"; echo "$*" >"$last"; echo "[{}]"', { id = "x" }))
    local kept = path .. "/x-2.receipt.json"
    assert.equal(("-p 1 -r 2 -o json --report %s\n"):format(kept), fake.read(kept))
    assert.same({ "program -p 1 -r 2 -o json" }, out.command)
  end)

  it("that memory cannot hold is refused, with what was said", function()
    local out = assert(measured('echo "takes 7 MiB" >&2; exit 5'))
    assert.same({ { label = "a", refused = "takes 7 MiB" } }, out.turns)
    assert.equal(7 * 2 ^ 20, samples.taken(out.turns[1].refused))
  end)

  it("that fails, prints no rows, ends by a signal or takes too long is none, and says why", function()
    for _, case in ipairs { { "echo why >&2; exit 6", "a: exit 6: why" }, { "echo hello", "a: .*no JSON" },
      { "echo '[]'", "a: .*no JSON" }, { "kill -9 $$", "a: ended by signal 9" },
      { "exec sleep 60", "a: stopped, since it took longer", 0.3 } } do
      local out, why = measured(case[1], nil, case[3])
      assert.is_nil(out)
      assert.is_truthy(why:find(case[2]), why)
    end
  end)

  it("makes its files first, and each once", function()
    local prepare = { { makes = path .. "/file", words = { "sh", "-c", "echo x >>" .. path .. "/file" } } }
    for _ = 1, 2 do assert(measured("cat " .. path .. "/file >&2; echo '[{}]'", { prepare = prepare })) end
    assert.equal("x\n", fake.read(path .. "/file"))
    local bad = { { makes = "f", words = { "sh", "-c", "echo no >&2; exit 1" } } }
    local out, why = measured("echo '[{}]'", { prepare = bad })
    assert.is_nil(out)
    assert.equal("f cannot be made: no", why)
  end)
end)

teardown(fake.clean)
