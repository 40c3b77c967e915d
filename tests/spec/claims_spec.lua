-- Public claims: the arithmetic behind them, what of results counts as measured, and a page that says so where nothing
-- was measured.
package.path = "bench/?.lua;tune/?.lua;gen/?.lua;" .. package.path

local entropy = require "claims.entropy"
local facts = require "claims.facts"
local list = require "claims.list"
local page = require "claims.page"
local sizes = require "sizes"
local space = require "space"

local function near(expected, found) assert.is_true(math.abs(expected - found) < 5e-4, tostring(found)) end

-- Facts of a machine where nothing was run, with what is given.
local function known(more)
  local c = { shapes = sizes.read(""), loops = {}, lookups = {}, codes = space.family("lut").codes, entries = 64,
    rows = {}, published = {}, ceiling = function() end }
  for key, value in pairs(more or {}) do c[key] = value end
  return c
end

local function row(fields)
  local r = { type = "bitnet synthetic 3b", gen = 16, prompt = 0, depth = 0, threads = 2, ts = 20, rss = 1.1e9,
    bytes = 1.01e9 }
  for key, value in pairs(fields) do r[key] = value end
  return r
end

local function here(said, c)
  for _, entry in ipairs(list) do
    if entry.said:find(said, 1, true) then return entry.here(c), entry.verdict(c) end
  end
  error("no claim says " .. said)
end

describe("entropy", function()
  it("of trits is known", function()
    near(sizes.trit, entropy.bits(1 / 3))
    near(1.5, entropy.bits(0.5))
    near(1, entropy.bits(0))
    near(0, entropy.bits(1))
    near(1.2033, entropy.bits(0.69))
    near(0.5, entropy.zeros(1.5))
    near(1 / 3, entropy.zeros(sizes.trit))
  end)

  it("follows from rounding a Gaussian", function()
    local zeros, lost = entropy.absmean()
    near(0.3101, zeros)
    assert.is_true(lost > 0.1902 and lost < 0.22) -- the best three levels there are lose 0.1902
  end)
end)

describe("measured rows", function()
  local folder = os.tmpname()
  local function write(name, text)
    local f = assert(io.open(folder .. "/bench/" .. name .. ".json", "wb"))
    f:write(text)
    f:close()
  end

  setup(function()
    os.remove(folder)
    os.execute("mkdir -p " .. folder .. "/bench")
    local text = '{"model_type": "bitnet synthetic 3b", "n_gen": %d, "n_prompt": %d, "n_threads": 2, "n_depth": 0, '
      .. '"samples_ts": [%s], "peak_rss_mib": 1024, "model_size": 5}'
    write("plain", "[" .. text:format(8, 0, "1, 3, 2") .. "," .. text:format(0, 8, "50") .. "]")
    write("dense", '{"id": "dense", "turns": [{"label": "F16", "rounds": [[' .. text:format(8, 0, "4") .. "], ["
      .. text:format(8, 0, "5") .. ']]}, {"label": "Q4_0", "refused": "memory"}]}')
    write("broken", "[{")
    write("others", '[{"samples_ts": [1]}, {"model_type": "x", "samples_ts": []}, null, 7, "text"]')
  end)
  teardown(function() os.execute("rm -r " .. folder) end)

  it("are those of bench, wherever a file has them", function()
    local rows = facts.rows(folder)
    assert.equal(4, #rows)
    local r = facts.row(rows, { size = "3b", decode = true, id = "plain" })
    assert.same({ 2, 2 ^ 30, 5 }, { r.ts, r.rss, r.bytes })
    assert.equal(5, facts.row(rows, { id = "dense", label = "F16", decode = true }).ts)
    assert.is_nil(facts.row(rows, { id = "dense", label = "Q4_0" }))
    assert.is_nil(facts.row(rows, { size = "7b" }))
    assert.same({}, facts.rows(folder .. "/none"))
  end)
end)

describe("a ceiling", function()
  local program = os.tmpname()
  local function prints(text)
    local f = assert(io.open(program, "wb"))
    f:write("#!/bin/sh\n[ \"$*\" = 'roofline --synth 3b --bandwidth 17.1 --json' ] && echo '", text, "'\n")
    f:close()
    os.execute("chmod +x " .. program)
    return facts.ceiling(program, "3b", 17.1)
  end
  teardown(function() os.remove(program) end)

  it("is what roofline predicts for decoding", function()
    local roof = '{"predicted": %s, "n_gen": %d, "n_depth": 0, "ceiling_ts": %s}'
    assert.equal(18.5, prints('{"roofs": [' .. roof:format("true", 0, "900") .. "," .. roof:format("true", 1, "18.5")
      .. "]}"))
    assert.is_nil(prints('{"roofs": [' .. roof:format("false", 1, "18.5") .. "]}"))
    assert.is_nil(prints('{"roofs": [' .. roof:format("true", 1, "null") .. "]}"))
    assert.is_nil(prints("no JSON"))
    assert.is_nil(facts.ceiling("/no/such/program", "3b", 17.1))
  end)
end)

describe("a claim", function()
  it("says where nothing was measured, and how to", function()
    local text = page(known(), "a CPU")
    assert.equal(text, page(known(), "a CPU"))
    assert.is_nil(text:find("%f[%a]nan%f[%A]") or text:find("%f[%a]inf%f[%A]"))
    local _, count = text:gsub("not measured yet: `", "")
    assert.equal(13, count)
    local _, lines = text:gsub("\n| ", "")
    assert.equal(#list + 2, lines)
  end)

  it("is judged by what was measured", function()
    local c = known { rows = { row { id = "dense", label = "F16", ts = 4, rss = 7e9 },
      row { id = "dense", label = "ternary" }, row { id = "threads", threads = 1, ts = 10 },
      row { id = "threads", threads = 2, ts = 19 },
      row { id = "sizes-100b", type = "bitnet synthetic 100b", ts = 1.5 } } }
    assert.equal("F16 4 t/s with 2 threads, 7.00 GB; ternary 20 t/s with 2 threads, 1.10 GB", (here("in F16", c)))
    assert.equal("10 t/s with 1 thread, 19 t/s with 2 threads", (here("64 cores", c)))
    assert.equal("1.5 t/s with 2 threads, 1.10 GB resident", (here("12 to 15 GB", c)))
    assert.is_truthy(here("in Q4_0", c):find("not measured yet", 1, true))
    assert.is_truthy(here("M2 Pro", known { ceiling = function() return 198 end }):find("predicted, as a ceiling: 198"))
  end)

  it("is impossible where arithmetic says so", function()
    for said, verdict in pairs { ["11 times"] = "impossible", ["400 to 500 MB"] = "impossible",
      ["12 to 15 GB"] = "impossible", ["30 to 50 %"] = "true", ["cost of a 7B"] = "false", ["M2 Pro"] = "possible" } do
      assert.equal(1, (select(2, here(said, known())):find(verdict, 1, true)), said)
    end
  end)

  it("of multiplications is false if lookups multiply", function()
    local function loops(products) return { { alu = 8, products = products, floats = 0, weights = 256 } } end
    assert.is_truthy(select(2, here("4096", known { loops = loops(4), lookups = loops(0) })):find("^true"))
    assert.is_truthy(select(2, here("4096", known { loops = loops(4), lookups = loops(1) })):find("^false"))
  end)
end)
