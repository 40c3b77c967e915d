-- Other programs: the words that run them, the forms of what they print, and what two sides' samples say.
package.path = "bench/?.lua;tune/?.lua;" .. package.path

local peer = require "peer"
local comparison = require "comparison"

local test = { prompt = 512, gen = 128, threads = 2 }

describe("a peer's command", function()
  it("is cut as a shell would", function()
    assert.same({ "a b", "c", "d e", "", "f'g", 'h"i' }, peer.words([['a b'  c d\ e "" "f'g" h\"i]]))
    assert.is_nil((peer.words("  ")))
    assert.is_nil((peer.words("a 'b")))
  end)

  it("gets what it does not say", function()
    assert.same({ "x", "-m", "f.gguf", "-p", "512", "-n", "128", "-t", "2", "-r", "1", "-o", "json" },
      peer.command({ "x" }, "f.gguf", test))
    assert.same({ "x", "--threads", "4", "-o", "md", "--file=f%1.gguf", "-p", "512", "-n", "128", "-r", "1" },
      peer.command({ "x", "--threads", "4", "-o", "md", "--file={model}" }, "f%1.gguf", test))
    assert.same({ "x", "-m", "own", "-p", "512", "-n", "128", "-t", "2", "-r", "1", "-o", "json" },
      peer.command({ "x", "-m", "own" }, "f.gguf", test))
  end)
end)

describe("what a peer prints", function()
  it("has rows in a table, with depths apart", function()
    local rows = peer.rows([[
| model                       |       size |     params | backend | threads |          test |           t/s |
| --------------------------- | ---------: | ---------: | ------- | ------: | ------------: | ------------: |
| bitnet 3B IQ2_BN - 2.00 bpw | 977.42 MiB |     3.43 B | CPU     |       2 |         pp512 | 620.63 ± 3.16 |
| bitnet 3B IQ2_BN - 2.00 bpw |   1.10 GiB |     3.43 B | CPU     |       2 |  tg128 @ d512 |  56.27 ± 0.27 |
| bitnet 3B IQ2_BN - 2.00 bpw |   1.10 GiB |     3.43 B | CPU     |       2 |   pp512+tg128 |  99.00 ± 0.27 |
build: 1234 (5)
]])
    assert.equal(2, #rows)
    assert.equal(620.63, peer.row(rows, test, true).ts)
    assert.equal(3.43e9, rows[1].params)
    assert.equal(977.42 * 2 ^ 20, rows[1].bytes)
    assert.equal(512, rows[2].depth)
    local row, why = peer.row(rows, test, false)
    assert.is_nil(row)
    assert.equal("expected a row of tg128 with 2 threads, found 2 rows of other tests", why)
  end)

  it("is nothing where it is garbage", function()
    for _, text in ipairs { "", "[", "[{]", "{}\n[]", '[{"avg_ts": 1}]', "|\n||\n| test |\n| pp512 |", "[1, 2]", "null",
      '[{"n_prompt": 1, "n_gen": 0, "n_threads": 2, "avg_ts": "nan"}]' } do
      assert.same({}, peer.rows(text), text)
    end
  end)

  it("ends with its last lines", function()
    assert.same({ "b", "c d" }, peer.last_lines("a\n\nb\r\nc\td\n", 2))
    assert.same({}, peer.last_lines("", 2))
  end)
end)

describe("two sides", function()
  it("are compared in the rounds that both have", function()
    local c = comparison.of({ 10, 20, 30, 40, 50, 60 }, { 5, 10, 15, 20, 25 })
    assert.same({ 5, 2, 2, 2, 30, 15, "faster" },
      { c.rounds, c.ratio, c.low, c.high, c.ours.median, c.theirs.median, c.verdict })
    assert.equal(4 / 3, c.ours.spread)
    assert.equal("slower", comparison.of({ 1, 1, 1, 1, 1 }, { 2, 2, 2, 2, 2 }).verdict)
    assert.equal("no difference", comparison.of({ 1, 2, 1, 2, 1 }, { 2, 1, 2, 1, 1 }).verdict)
    assert.equal("too few rounds to tell", comparison.of({ 1, 1 }, { 2, 2 }).verdict)
    assert.is_nil(comparison.of({ 1 }, {}))
  end)

  it("warn of other models, not of roundings", function()
    local ours = { params = 2.41e9, bytes = 800e6 }
    assert.same({}, comparison.warnings("x", ours, { params = 2.4e9, bytes = 801e6 }))
    assert.equal(2, #comparison.warnings("x", ours, { params = 3.3e9, bytes = 1190e6 }))
    assert.equal(1, #comparison.warnings("x", ours, {}))
  end)
end)
