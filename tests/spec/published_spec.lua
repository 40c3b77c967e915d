-- What others published (results/published/*.json): of sizes that exist, and possible by the bandwidth that is named,
-- or remarked. What a file must hold is its schema's, which cli/published.sh checks.
package.path = "bench/?.lua;" .. package.path

local cjson = require "cjson"
local sizes = require "sizes"

local shapes = sizes.read("")

local function files()
  local list = {}
  local pipe = io.popen("ls results/published/*.json")
  for path in pipe:lines() do list[#list + 1] = path end
  pipe:close()
  return list
end

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("*a")
  f:close()
  return cjson.decode(text)
end

-- Whether decoding so fast would read more than the machine can: ternary weights at their information bound and
-- nothing else, so that no encoding of them is done wrong. Prompts read weights once for many tokens.
local function impossible(file, row)
  if row.test:sub(1, 2) ~= "tg" then return false end
  return sizes.read_per_token(shapes[row.model], sizes.trit, 0) * row.ts > file.bandwidth_gbps * 1e9
end

describe("sizes", function()
  it("hold what is known of the public models", function()
    for name, weights in pairs { large = { 679477248, 49155072 }, ["3b"] = { 3221504000, 102406400 },
      ["2b4t"] = { 2084044800, 328335360 }, ["llama3-8b"] = { 6979321856, 1050673152 },
      ["falcon3-10b"] = { 9500098560, 805306368 }, ["100b"] = { 99958652928, 262160384 } } do
      assert.equal(weights[1], sizes.ternary(shapes[name]), name)
      assert.equal(weights[2], sizes.embedding(shapes[name]), name)
    end
    assert.equal(0.5 * 2 * 40 * 4 * 256 * 4, sizes.position(shapes["falcon3-10b"], 2))
  end)

  it("are refused where the table is not there", function()
    assert.has_error(function() sizes.read("tests/") end)
  end)
end)

describe("a published figure", function()
  for _, path in ipairs(files()) do
    it("of " .. path, function()
      local file = read(path)
      for i, row in ipairs(file.rows) do
        local where = ("row %d: %s %s"):format(i, row.model, row.test)
        assert.is_table(shapes[row.model], where .. " is of no size of synth")
        assert.is_true(not impossible(file, row) or row.remark ~= nil or file.remark ~= nil,
          where .. " reads more than this machine can, and no remark says so")
      end
    end)
  end

  it("is found impossible where it is", function()
    assert.is_true(impossible({ bandwidth_gbps = 17.1 }, { model = "3b", test = "tg128", ts = 27 }))
    assert.is_false(impossible({ bandwidth_gbps = 17.1 }, { model = "3b", test = "tg128", ts = 26 }))
    assert.is_false(impossible({ bandwidth_gbps = 17.1 }, { model = "3b", test = "pp512", ts = 270 }))
  end)

  it("is there at all", function() assert.is_true(#files() >= 10) end)
end)
