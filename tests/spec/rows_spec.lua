-- Which rows kernels have in Google Benchmark, and what each is a share of, without a clock. That they run is
-- tests/cli/kernels_bench.sh.
package.path = "bench/?.lua;tune/?.lua;gen/?.lua;" .. package.path

local rows = require "rows"
local shapes = require "shapes"
local measure = require "measure"

local two = { threads = { 1, 2 }, batch = { 10, 12, 512 }, active = 0.25 }

local function names_of(list)
  local names = {}
  for i, r in ipairs(list) do names[i] = r.name end
  return names
end

local function kernels_of(text) return rows.generated({ "c" }, text) end

describe("rows", function()
  it("are named by kernel, shape, threads and regime", function()
    local list = rows.new(kernels_of "mad_q2r16_m16n1a2u1p64h2__c", assert(shapes.named "2560x6912"), two)
    assert.same({
      "mad_q2r16_m16n1a2u1p64h2__c/2560x6912/threads:1/warm", "mad_q2r16_m16n1a2u1p64h2__c/2560x6912/threads:2/warm",
      "mad_q2r16_m16n1a2u1p64h2__c/2560x6912/threads:1/cold", "mad_q2r16_m16n1a2u1p64h2__c/2560x6912/threads:2/cold",
    }, names_of(list))
  end)

  it("of batches are whole calls of the kernel, each once", function()
    local list = rows.new(kernels_of "mad_q2r16_m8n4a1u1p64h2__c", assert(shapes.named "64x256"),
      { threads = { 1 }, batch = two.batch, active = 0.5 })
    assert.same({ "mad_q2r16_m8n4a1u1p64h2__c/64x256/tokens:12/threads:1/cold",
      "mad_q2r16_m8n4a1u1p64h2__c/64x256/tokens:512/threads:1/cold" }, names_of(list))
  end)

  it("take the shapes of models, each once", function()
    local list = rows.new(kernels_of "mad_q2r16_m16n1a2u1p64h2__c", assert(shapes.named "tiny,512x256,tiny"),
      { threads = { 1 }, batch = {}, active = 0.5 })
    local seen = {}
    for _, r in ipairs(list) do
      assert.is_nil(seen[r.name])
      seen[r.name] = true
    end
    assert.is_true(seen["mad_q2r16_m16n1a2u1p64h2__c/256x1024/threads:1/cold"])
  end)

  it("count what one call reads and computes", function()
    local job = assert(shapes.named "64x256")
    local function only(text, o) return rows.ready(rows.new(kernels_of(text), job, o))[1] end
    local one = only("mad_q2r16_m16n1a2u1p64h2__c", two)
    assert.same({ 64 * 256 / 4, 64 * 256, 2 * 64 * 256 }, { one.bytes, one.weights, one.operations })
    assert.same({ "read", one.bytes }, { one.limit, one.span })
    local grouped = only("mad_q2r16_m16n1a1u1p64h2g32__c", two)
    assert.equal(64 * 256 / 4 + 64 * 256 / 32 * 4, grouped.bytes)
    local batch = only("mad_q2r16_m8n4a1u1p64h2__c", two)
    assert.same({ 64 * 256 / 4, 2 * 12 * 64 * 256 }, { batch.bytes, batch.operations })
    local listed = only("rows_r2r1_m4a2p8h2__c", two)
    assert.same({ 64 * 256 / 4 / 4, 64 * 256 / 4 }, { listed.bytes, listed.span })
  end)

  it("hold batches against a peak, where the instruction set has one, and else against reading", function()
    local function limit(isa, text)
      return rows.ready(rows.new(rows.generated({ isa }, text), assert(shapes.named "64x256"), two))[1]
    end
    local batch, one = limit("avx2", "mad_q2r32_m16n4a1u1p64h2__"), limit("avx2", "mad_q2r32_m32n1a2u1p64h2__")
    assert.same({ "peak", "mad" }, { batch.limit, batch.peak })
    assert.same({ "read" }, { one.limit, one.peak })
    assert.equal("read", limit("c", "mad_q2r16_m8n4a1u1p64h2__c").limit)
  end)

  it("measure a ceiling anew only when it is old", function()
    local list = rows.ready(rows.new(kernels_of "mad_q2r16_m16n1a2u1p64h2__c", assert(shapes.named "64x256"), two))
    local read, asked = measure.read, {}
    measure.read = function(_, threads, span) -- luacheck: ignore
      asked[#asked + 1] = { threads, span }
      return 10
    end
    for _ = 1, 3 do assert.equal(10e9, list[3].ceiling()) end
    assert.equal(10e9, list[4].ceiling())
    measure.read = read -- luacheck: ignore
    assert.same({ { 1, 0 }, { 2, 0 } }, asked)
  end)
end)
