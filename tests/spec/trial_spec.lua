-- Tables and settings on the forward pass, without a clock: who is compared, when it ends, what follows, and that
-- whoever reads the measurements decides the same.
package.path = "tune/?.lua;gen/?.lua;tests/spec/?.lua;" .. package.path

local fake = require "fake"
local store = require "store"
local dispatch = require "dispatch"
local literal = require "literal"
local replay = require "replay"
local shapes = require "shapes"
local trial = require "trial"

teardown(fake.clean)

local jobs = {}
for i, role in ipairs(shapes.roles) do
  jobs[i] = { model = "x", role = role, m = 256 * i, k = 256, weights = 2 ^ 30 }
end

-- Layouts of 16 and 64 rows are close; the default has 32. Other codes than its take twice as long.
local function times(point, tokens)
  local base = tokens > 1 and 100 / (point.n or 1) or 1000
  local odd = 1 + (point.m or 0) / 1e5 + point.u / 1e4 + point.p / 1e6
  return base * odd * (({ [16] = 1, [64] = 1.05 })[point.r] or 1.3) * (point.c == "q2" and 1 or 2)
end

-- Measurements by which all jobs are decided, made once.
local decided
local function tuned_once()
  if not decided then
    local path = fake.folder()
    fake.tuned(path, "A CPU/1", jobs, times)
    decided = fake.read(path .. "/measurements.jsonl")
  end
  return decided
end

-- One search for all of them: its kernels take time to write.
local shared
local function choices_of(kept, run)
  shared = shared or replay.search(kept, run)
  shared.store, shared.pool.store = kept, kept
  return replay.choices(shared, kept, run)
end

-- A store of these in a new folder, its run, and the choices.
local function tuned()
  local path = fake.folder()
  fake.write(path .. "/measurements.jsonl", tuned_once())
  local kept = store.open(path)
  local run = kept.runs[1]
  local choices, ended = choices_of(kept, run)
  assert.is_nil(ended)
  return kept, run, choices, path .. "/measurements.jsonl"
end

local function labels(list)
  local out = {}
  for i, c in ipairs(list) do out[i] = c.label .. (c.usual and " (usual)" or "") end
  return table.concat(out, ", ")
end

-- A trial on invented times: cost[label][phase], in ns, times factor(setting, phase); every run takes `each` seconds.
local function measured(kept, run, choices, o)
  local clock, built, order = 0, {}, {}
  local ok, why = trial.measure {
    contestants = trial.contestants(choices, run.jobs, "x"), run = run, store = kept, name = "x", of = 30,
    model = { layers = 8, vocab = 1000 }, settings = o.settings or trial.settings(4, 8), deadline = o.deadline or 1000,
    now = function() return clock end, alone = not o.others,
    build = function(label, plans, huge)
      assert.is_table(plans.qkv.kernels)
      built[#built + 1] = label .. (huge and "" or " small")
      if o.no_memory then return nil, "no memory" end
      return true
    end,
    sample = function(label, phase, setting)
      clock = clock + (o.each or 1)
      order[#order + 1] = label
      if o.crash and #order > o.crash then return nil, "crash: signal 11" end
      local cost = (o.cost[label] or o.cost.best)[phase] * (o.factor and o.factor(setting, phase, #order) or 1)
      return cost, o.bits and o.bits(label) or "same"
    end }
  return ok, why, built, order
end

local even = { decode = 1e6, prompt = 1e5 }
local function costing(best, second, default)
  local function scaled(by) return { decode = even.decode * by, prompt = even.prompt * by } end
  return { best = scaled(best), second = scaled(second), default = scaled(default) }
end

-- The layouts of the choices after a trial that went so, and what it said.
local function after(o)
  local kept, run, choices, path = tuned()
  local ok, why, built, order = measured(kept, run, choices, o)
  local results, ended = choices_of(kept, run)
  store.close(kept)
  return { ok = ok, why = why, built = built, order = order, results = results, ended = ended, path = path,
    before = choices }
end

describe("contestants", function()
  it("are the best table, the next best, and the default, none twice", function()
    local kept, run, choices = tuned()
    local list = trial.contestants(choices, run.jobs, "x")
    assert.equal("best, second, default (usual)", labels(list))
    for _, role in ipairs(shapes.roles) do
      assert.equal("q2r16", list[1].plans[role].layout)
      assert.equal("q2r64", list[2].plans[role].layout)
    end
    for _, choice in ipairs(choices) do choice.usual, choice.second = choice, nil end
    assert.equal("best (usual)", labels(trial.contestants(choices, run.jobs, "x")))
    choices[2] = nil
    assert.is_nil(trial.contestants(choices, run.jobs, "x"))
    store.close(kept)
  end)
end)

describe("jobs of no model", function()
  it("have no contestants, and leave those of a model their trial", function()
    local kept, run, choices = tuned()
    assert.is_true(measured(kept, run, choices, { cost = costing(1, 0.9, 1.2) }))
    table.insert(run.jobs, 1, { role = "o", m = 64, k = 64 })
    assert.equal("second", trial.settle(kept, run, choices).confirmed.winner)
    for _, job in ipairs(run.jobs) do job.model = nil end
    assert.is_nil(trial.settle(kept, run, choices))
    store.close(kept)
  end)
end)

describe("a trial", function()
  it("takes turns, at least seven rounds, until its time is up", function()
    local t = after { cost = costing(1, 1.1, 1.2), each = 1, deadline = 200 }
    assert.is_true(t.ok)
    assert.same({ "best", "second", "default", "best small" }, { t.built[1], t.built[2], t.built[3],
      (t.built[4]:gsub("small pages", "best")) })
    assert.same({ "best", "best", "second", "second", "default", "default", "default" },
      { unpack(t.order, 1, 7) })
    assert.equal(16, t.ended.confirmed.rounds) -- six seconds each, of the first hundred
  end)

  it("says nothing where seven rounds do not fit, memory is short, or the child crashes", function()
    for what, o in pairs { ["7 rounds"] = { deadline = 30 }, ["no memory"] = { no_memory = true },
      ["crash: signal 11"] = { crash = 9 } } do
      o.cost = costing(1, 1, 1)
      local t = after(o)
      assert.is_nil(t.ok)
      assert.matches(what, t.why)
      assert.is_nil(t.ended)
    end
  end)

  it("keeps the best where it is ahead, or all are within noise", function()
    for _, cost in ipairs { costing(1, 1.1, 1.2), costing(1, 0.995, 0.995) } do
      local t = after { cost = cost }
      assert.equal("best", t.ended.confirmed.winner)
      assert.equal("q2r16", t.results[1].layout)
      assert.equal(1000, t.ended.confirmed.decode)
      assert.equal(10000, t.ended.confirmed.prompt)
      assert.is_true(math.abs(t.ended.confirmed.default_ratio - cost.default.decode / 1e6) < 1e-9)
    end
  end)

  it("hands the table to whoever is faster end to end", function()
    local t = after { cost = costing(1, 0.9, 1.2) }
    assert.equal("second", t.ended.confirmed.winner)
    for i, job in ipairs(t.results) do
      assert.equal("q2r64", job.layout)
      assert.equal("q2r16", t.before[i].layout)
      assert.is_true(job.gain > 0 and job.gain < t.before[i].gain)
    end
    t = after { cost = costing(1, 1.1, 0.9) }
    assert.equal("default", t.ended.confirmed.winner)
    for _, job in ipairs(t.results) do assert.equal(1, job.gain) end
    assert.is_true(math.abs(t.ended.confirmed.runner_up_ratio - 1.1 / 0.9) < 1e-9)
  end)

  it("weighs decoding twice", function()
    local cost = costing(1, 1, 1)
    cost.second = { decode = 0.9e6, prompt = 1.15e5 }
    assert.equal("second", after({ cost = cost }).ended.confirmed.winner)
    cost.second = { decode = 0.9e6, prompt = 1.3e5 }
    assert.equal("best", after({ cost = cost }).ended.confirmed.winner)
  end)

  it("is not won by one lucky minority of rounds", function()
    local t = after { cost = costing(1, 1, 1), each = 1, factor = function(_, _, n) return n % 5 == 0 and 0.5 or 1 end }
    assert.equal("best", t.ended.confirmed.winner)
  end)

  it("refuses a table whose logits are not those of the default", function()
    local function wrong(one) return function(label) return label == one and "other" or "same" end end
    local t = after { cost = costing(1, 0.5, 1.2), bits = wrong "second" }
    assert.equal("best", t.ended.confirmed.winner)
    assert.equal(1, #t.ended.refused)
    assert.matches("the second table is refused", t.ended.refused[1])
    t = after { cost = costing(1, 1.1, 1.2), bits = wrong "best" }
    assert.equal("second", t.ended.confirmed.winner)
  end)

  it("leads to the same table, byte by byte, for whoever reads it, and is not repeated", function()
    local t = after { cost = costing(1, 0.9, 1.2), factor = function(s, phase)
      return s.pinned and phase == "prompt" and 0.9 or 1
    end }
    local text = dispatch.text(assert(replay.file(t.path)))
    assert.equal(text, dispatch.text((replay.file(t.path))))
    local back = assert(literal.read(text))
    assert.equal("second", back.confirmed.winner)
    assert.same({ threads = 4, pinned = false }, back.decode)
    assert.same({ threads = 4, pinned = true }, back.prompt)
    assert.is_true(back.huge)
    for _, job in ipairs(back.jobs) do assert.equal("q2r64", job.layout) end
  end)

  it("counts only for the very contestants it had", function()
    local kept, run, choices = tuned()
    assert.is_true(measured(kept, run, choices, { cost = costing(1, 1, 1) }))
    kept.trials[1].contestants[2].id = "others"
    assert.is_nil(select(2, choices_of(kept, run)))
    store.close(kept)
  end)

  it("is read from files with care", function()
    local t = after { cost = costing(1, 1, 1) }
    local text = fake.read(t.path)
    for _, change in ipairs { { '"threads":2,"layers"', '"threads":"2","layers"' }, { '"layers":8', '"layers":0' },
      { '"pinned":false', '"pinned":1' }, { '"label":"best"', '"label":7' }, { '"bits":{', '"bits":7,"b":{' } } do
      local path = fake.folder() .. "/m.jsonl"
      local line = text:match('[^\n]*"kind":"trial"[^\n]*')
      local broken = line:gsub(change[1]:gsub("%p", "%%%0"), (change[2]:gsub("%%", "%%%%")))
      if broken ~= line then
        fake.write(path, text:gsub('[^\n]*"kind":"trial"[^\n]*', function() return broken end))
        local kept, bad = store.load(path)
        assert.equal(1, bad, change[2])
        assert.equal(0, #kept.trials)
      end
    end
  end)
end)

describe("settings", function()
  local function setting(factor) return after({ cost = costing(1, 1.1, 1.2), factor = factor }).ended end

  it("are a few, the simple one first, none twice", function()
    local function text(list)
      local out = {}
      for i, s in ipairs(list) do
        out[i] = s.threads .. (s.pinned and "p" or "") .. (s.huge and "" or "s")
      end
      return table.concat(out, " ")
    end
    assert.equal("4 4p 4s 8 8p 3 2", text(trial.settings(4, 8)))
    assert.equal("2 2p 2s 1", text(trial.settings(2, 2)))
    assert.equal("1 1p 1s", text(trial.settings(1, 1)))
    assert.equal("3 3p 3s", text(trial.settings(4, 8, 3)))
  end)

  it("stay simple within noise", function()
    local s = setting(function(w) return w.pinned and 0.985 or 1 end)
    assert.same({ threads = 4, pinned = false }, s.decode)
    assert.same({ threads = 4, pinned = false }, s.prompt)
    assert.is_true(s.huge)
  end)

  it("are chosen for decode and prompt apart", function()
    local s = setting(function(w, phase)
      if phase == "decode" then return w.threads == 3 and 0.9 or 1 end
      return w.threads == 8 and (w.pinned and 0.7 or 0.8) or 1
    end)
    assert.same({ threads = 3, pinned = false }, s.decode)
    assert.same({ threads = 8, pinned = true }, s.prompt)
  end)

  it("are not tried while others use the cores", function()
    local ended = after({ cost = costing(1, 1.1, 1.2), others = true }).ended
    assert.equal("best", ended.confirmed.winner)
    assert.is_nil(ended.decode)
  end)

  it("give up huge pages only where that helps both together", function()
    assert.is_false(setting(function(w) return w.huge and 1 or 0.9 end).huge)
    assert.is_true(setting(function(w, phase) return w.huge and 1 or phase == "decode" and 1.1 or 0.9 end).huge)
  end)

  it("reach the binary", function()
    local at = fake.folder()
    local function linked(table_text)
      fake.write(at .. "/d.lua", 'return { cpu = "x", arch = "x86_64", jobs = {}, ' .. table_text .. " }")
      fake.run(("luajit gen/gen.lua --build %s --arch x86_64 --dispatch %s/d.lua"):format(at, at))
      return fake.read(at .. "/dispatch_table.c"):match("tri_tuned_setting = (.-);")
    end
    assert.equal("{{{3, false}, {8, true}}, false}", linked [[decode = { threads = 3, pinned = false },
      prompt = { threads = 8, pinned = true }, huge = false]])
    assert.equal("{{{0, false}, {0, false}}, true}", linked "decode = { threads = -3, pinned = 1 }, prompt = 7")
  end)
end)

describe("a model's part", function()
  it("streams as much as asked for, with its share of the vocabulary", function()
    local set = shapes.named("2b4t")[1]
    local part = trial.part(set.model, set[1].weights, 100e6)
    assert.equal(6, part.layers)
    assert.equal(math.ceil(128256 * 6 / 30), part.vocab)
    assert.equal(2560, part.hidden)
    assert.equal(30, trial.part(set.model, set[1].weights, 2 ^ 40).layers)
    assert.equal(6, trial.part(shapes.named("tiny")[1].model, shapes.named("tiny")[1][1].weights, 2 ^ 30).layers)
  end)

  it("is known of files, too, and not of single matrices", function()
    local file = shapes.of_file("tests/model/tiny-tales-i2_s.gguf")[1].model
    for key, value in pairs(shapes.named("tiny")[1].model) do assert.equal(value, file[key]) end
    assert.equal("bitnet-b1.58", file.arch)
    assert.is_nil(shapes.named("256x256")[1].model)
  end)
end)
