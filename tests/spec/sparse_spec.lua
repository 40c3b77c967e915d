-- Kernels of listed rows and columns in the tuner, on invented times: which is chosen, up to which density it is worth
-- it, that recorded samples say the same, and what a build and a reader make of it.
package.path = "tune/?.lua;gen/?.lua;tests/spec/?.lua;" .. package.path

local fake = require "fake"
local store = require "store"
local search = require "search"
local sparse = require "sparse"
local replay = require "replay"
local dispatch = require "dispatch"
local literal = require "literal"
local explain = require "explain"
local choose = require "choose"

teardown(fake.clean)

local jobs = {
  { model = "x", role = "down", m = 256, k = 512, weights = 2 ^ 30 },
  { model = "x", role = "gate_up", m = 1024, k = 256, weights = 2 ^ 30 },
  { model = "x", role = "o", m = 256, k = 256, weights = 2 ^ 30 },
}

-- Dense kernels take 1000 for 256x512, others in proportion; of the sparse kernels those of `best` take 0.1 + 1.8 times
-- the density of that, so that 0.5 is where they lose; the others twice as long.
local best = { rows = { p = 12 }, columns = { b = 32 } }
local asked = {}
local function times(point, tokens, job)
  local dense = job.m * job.k / 131.072 / (point.n or 1)
  if not best[point.family] then return tokens == 1 and dense * (1 + point.u / 1000) or dense end
  asked[point.family .. " " .. job.m .. "x" .. job.k] = true
  local key, value = next(best[point.family])
  return dense * (0.1 + 1.8 * job.active) * (point[key] == value and 1 or 2)
end

local made
local function tuned()
  if made then return made end
  local path = fake.folder()
  local s = fake.searching(path, times, "balanced")
  s.pool.families = { "mad", "rows", "columns" }
  local run = { kind = "run", id = "run", cpu = "Fake CPU", arch = "x86_64", compiler = "cc", threads = 2,
    objective = "balanced", memory = 2 ^ 28, present = s.pool.present, isas = s.pool.isas, jobs = jobs }
  store.add(s.store, run)
  store.add(s.store, { kind = "read", run = run.id, span = 0, gbps = 200 })
  made = { path = path, choices = {} }
  for i, job in ipairs(jobs) do made.choices[i] = search.job(s, job, {}, math.huge) end
  store.close(s.store)
  fake.restore()
  made.table = replay.file(path .. "/measurements.jsonl")
  made.text = dispatch.text(made.table)
  return made
end

describe("the break-even", function()
  local function at(...)
    local list = {}
    for i, ratio in ipairs { ... } do list[i] = { active = i / 5, ns = ratio * 1000, dense_ns = 1000 } end
    return list
  end
  local function near(wanted, ...) assert.is_true(math.abs(sparse.break_even(at(...)) - wanted) < 1e-9) end

  it("lies on the line between two densities", function()
    near(0.5, 0.2, 0.5, 1.5, 2, 3)
    near(0.6, 0.2, 0.5, 1, 2, 3)
  end)

  it("is the greatest density where the sparse kernel never loses, nothing where it always does", function()
    near(1, 0.1, 0.2, 0.3, 0.4, 0.5)
    near(0, 1.1, 1.2, 1.3, 1.4, 1.5)
  end)

  it("does not believe that less work takes longer", function()
    near(0.7, 0.2, 5, 0.5, 1.5, 2)
  end)
end)

describe("tuning of sparse kernels", function()
  it("finds the fastest, for up alone and for down, and nothing for others", function()
    local choices = tuned().choices
    assert.matches("^columns_.*b32p%dh%d__avx2$", choices[1].sparse.name)
    assert.matches("^rows_.*p12h%d__avx2$", choices[2].sparse.name)
    assert.is_nil(choices[3].sparse)
    assert.same({ ["columns 256x512"] = true, ["rows 512x256"] = true }, asked)
  end)

  it("measures where it stops being worth it", function()
    for i = 1, 2 do assert.is_true(math.abs(tuned().choices[i].sparse.break_even - 0.5) < 0.01) end
  end)

  it("is decided again by what is recorded, to the same table", function()
    local found = literal.read(tuned().text).jobs
    for _, job in ipairs(found) do
      local choice
      for i, wanted in ipairs(jobs) do if wanted.role == job.role then choice = made.choices[i] end end
      assert.equal(choice.sparse and choice.sparse.name, job.sparse and job.sparse.name)
      assert.equal(choice.sparse and 7, job.sparse and #job.sparse.at)
      assert.is_true(dispatch.current(job))
    end
    assert.equal(tuned().text, dispatch.text((replay.file(made.path .. "/measurements.jsonl"))))
  end)

  it("is explained", function()
    local text = explain.text(explain.facts(tuned().table, store.load(made.path .. "/measurements.jsonl"), { "down" }))
    local flat = text:gsub("%s+", " ")
    assert.matches("sparse columns_%w+_%w+__avx2, faster where less than 50%% is active", flat)
    assert.matches("5%%: 0.19, 10%%: 0.28, 20%%: 0.46", flat)
  end)
end)

describe("a build", function()
  local function linked(text)
    local path, plan = fake.folder() .. "/dispatch.lua", {}
    fake.write(path, text)
    local tables, notes = choose.tables("x86_64", plan, path)
    return tables:match("tri_choices.-};"), table.concat(notes, "\n"), plan
  end

  it("links a table's sparse kernels with their break-even", function()
    local lines, notes, plan = linked(tuned().text)
    local name = made.choices[1].sparse.name
    assert.equal("", notes)
    local fraction = lines:match('"' .. name .. '", ([%d.]+)}')
    assert.is_true(math.abs(fraction - 0.5) < 0.01)
    local families = {}
    for _, p in ipairs(plan) do families[p.family] = true end
    assert.same({ mad = true, rows = true, columns = true }, families)
    assert.is_truthy(lines:find('{"o", 256, 256, 0, {"mad_[^}]*}, {[^}]*}, NULL, 0.0000}'))
  end)

  it("leaves out those that have changed, are no kernels or of another role, and says so", function()
    local s = tuned().choices
    for _, change in ipairs { { s[1].sparse.hash, ("0"):rep(16), "has changed" },
      { s[1].sparse.name, "x", "'x' is not" },
      { "break_even = [%d.]+", "break_even = 7", "no break%-even" },
      { s[1].sparse.name, s[2].sparse.name, "is not for this role" } } do
      local lines, notes = linked((tuned().text:gsub(change[1], change[2])))
      assert.matches("its sparse kernel is left out %(.*" .. change[3], notes)
      assert.is_truthy(lines:find('{"down", 256, 512, 0, {"mad_[^}]*}, {[^}]*}, NULL, 0.0000}'))
    end
  end)
end)
