-- The generator: the same bytes under every Lua, names that invert, templates whose errors name their line.
package.path = "gen/?.lua;" .. package.path

local lt = require "lt"
local space = require "space"
local name = require "name"
local emit = require "emit"
local literal = require "literal"
local tidy = require "tidy"
local untuned = require "untuned"

local function run(command)
  local pipe = io.popen(command .. " 2>&1")
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("*a")
  f:close()
  return text
end

describe("lt", function()
  local isa = { name = "toy", add = "plus($1, $2)", one = "1" }
  local function render(text) return (lt.render(text, "toy.lt", { isa = isa, N = 3 })) end

  it("splices expressions, runs the margin, speaks words inside words", function()
    assert.equal("a0 = plus(plus(x, f(1, 2)), 1);\na1 = plus(plus(x, f(1, 2)), 1);\n",
      render("| for i = 0, 1 do\na${i} = @add(@add(x, f(1, 2)), @one());\n| end\n"))
  end)

  it("keeps quotes, backslashes and per cent signs of C", function()
    assert.equal('printf("%d\\n", \'\\\\\');\n', render('printf("%d\\n", \'\\\\\');\n'))
  end)

  local function complaint(text)
    local ok, message = pcall(render, text)
    assert.is_false(ok)
    return message
  end

  it("names template and line of an unknown word, a missing argument, a Lua error, an unknown variable", function()
    assert.equal("toy.lt:2: toy has no @laod", complaint("x\n@laod(p)\n"))
    assert.equal("toy.lt:1: @add wants an argument $2", complaint("@add(x)\n"))
    assert.matches("^toy.lt:2: ", complaint("x\n| error('no')\n"))
    assert.matches("^toy.lt:3: no variable 'M'", complaint("x\ny\n${M}\n"))
    assert.matches("^toy.lt:", complaint("| for\n"))
  end)
end)

describe("tidy", function()
  it("indents by braces, unbraced bodies and open parentheses", function()
    local wanted = "void f(\n    int a)\n{\n    for (;;)\n        if (a)\n            g();\n    /* b\n"
      .. "     * c */\n    h();\n}\n"
    assert.equal(wanted, tidy((wanted:gsub("\n +", "\n"))))
  end)
end)

describe("names", function()
  it("invert over the whole space", function()
    local count = 0
    for _, isa in ipairs(space.isas()) do
      for _, family in ipairs(space.families()) do
        for _, point in ipairs(space.points(family, isa)) do
          local text = name.of(point)
          local back = assert(name.parse(text))
          for key, value in pairs(point) do if back[key] ~= value then assert.same(point, back) end end
          for key in pairs(back) do if point[key] == nil then assert.same(point, back) end end
          count = count + (name.of(back) == text and 1 or error(text))
        end
      end
    end
    assert.is_true(count > 1000)
  end)

  it("refuse what is not in the grammar or the space", function()
    for _, text in ipairs { "", "mad", "mad_q2r64_m64n1a4u1p64", "mad_q2r64_m64n1a4u1p64h2__avx9000", "../../x__c",
      "mad_q2r64_m64n1a4u1p63h2__avx512vnni", "mad_q2r64_m64n1a4u1p64h2__avx2; rm -rf",
      "mad_q2r64_n1m64a4u1p64h2__avx512vnni",
      "mad_l4r64_m64n1a4u1p64h2__avx512vnni", "lut_l4r64_m64u1p64h2__avx2", ("x"):rep(200) } do
      local point, why = name.parse(text)
      assert.is_nil(point)
      assert.equal("string", type(why))
    end
    assert.is_nil((name.parse(nil)))
  end)
end)

describe("grouped scales", function()
  it("stand in the name where there are any, and leave the layout alone", function()
    local point = space.defaults("mad", "avx2", 128)[1]
    assert.matches("^mad_q2r32_m%d+n1a%du1p64h2g128__avx2$", name.of(point))
    assert.same(point, name.parse(name.of(point)))
    assert.is_nil((name.parse((name.of(space.defaults("mad", "avx2")[1]):gsub("__", "g0__")))))
    local k = emit.kernel(point)
    assert.same({ "grouped", 128, "q2r32" }, { k.kind, k.group, k.layout })
    assert.matches("const float *ws", k.code, 1, true)
    assert.same({ "matmul", 0 }, { emit.kernel(space.defaults("mad", "avx2")[1]).kind, 0 })
  end)

  it("have defaults on every ISA, on one layout, of which the first decodes", function()
    for _, isa in ipairs(space.isas()) do
      for _, group in ipairs(space.groups("mad")) do
        local points = space.defaults("mad", isa, group)
        assert.equal(1, points[1].n)
        for _, p in ipairs(points) do assert.same({ group, points[1].r }, { p.g, p.r }) end
      end
    end
  end)

  it("want whole steps, and sums that fit", function()
    local function why(family, isa, changes)
      local p = space.defaults(family, isa)[1]
      for key, value in pairs(changes) do p[key] = value end
      return space.refuse(p)
    end
    assert.matches("whole number of steps", why("mad", "avx512vbmi", { c = "f5", g = 128 }))
    assert.matches("whole number of steps", why("lut", "avx2", { c = "l3", g = 32 }))
    assert.matches("vector of floats", why("mad", "c", { m = 4, g = 32 }))
    assert.is_nil(why("lut", "avx2", { g = 256 }))
  end)

  it("are offered one group at a time", function()
    local of = {}
    for _, group in ipairs(space.groups("mad")) do
      for _, p in ipairs(space.points("mad", "avx2", group)) do
        assert.equal(group, p.g)
        of[group] = (of[group] or 0) + 1
      end
    end
    assert.is_true(of[0] > 100 and of[256] > 100)
    assert.same({}, space.points("mad", "avx2", 48))
    assert.same({}, space.defaults("mad", "avx2", 48))
  end)
end)

describe("the space", function()
  it("covers every value of every parameter that occurs", function()
    for _, isa in ipairs(space.isas()) do
      for _, family in ipairs(space.families()) do
        local function values(points)
          local seen = {}
          for _, p in ipairs(points) do
            for _, q in ipairs(space.parameters(space.family(family))) do seen[q .. "=" .. tostring(p[q])] = true end
          end
          return seen
        end
        assert.same(values(space.points(family, isa)), values(space.cover(family, isa)))
      end
    end
  end)

  it("has defaults of which the first decodes, on one layout", function()
    for _, isa in ipairs(space.isas()) do
      local points = space.defaults("mad", isa)
      assert.is_true(#points >= 1)
      for _, p in ipairs(points) do assert.equal(points[1].r, p.r) end
      assert.equal(1, points[1].n)
    end
  end)

  it("has for every ISA kernels of one layout of 1.6 bits, of which the first decodes", function()
    for _, isa in ipairs(space.isas()) do
      local points = untuned.smallest(isa)
      assert.equal(1, points[1].n)
      for _, p in ipairs(points) do
        local l = emit.layout(space.family(p.family).layout(p))
        assert.equal(space.family("mad").layout(points[1]), l.name)
        assert.equal(8, 5 * 8 * l.bytes / (l.rows * l.kstep))
      end
    end
  end)

  it("runs untuned, on every ISA, kernels of one layout by ascending tokens, no more than a plan holds", function()
    local most = tonumber(read("runtime/kernels/dispatch.h"):match("TRI_PLAN_KERNELS = (%d+)"))
    for _, isa in ipairs(space.isas()) do
      local layout, tokens = nil, 0
      local points = untuned.points(isa)
      assert.is_true(#points <= most)
      for _, p in ipairs(points) do
        layout = layout or space.family(p.family).layout(p)
        assert.equal(layout, space.family(p.family).layout(p))
        assert.is_true(p.n > tokens)
        tokens = p.n
      end
    end
    assert.equal("tile", untuned.points("amx")[#untuned.points("amx")].family)
  end)
end)

describe("the generator", function()
  local commands = { "--list", "mad c", "mad avx2", "mad avx512vnni n=8 a=1 p=0 h=1 m=16", "mad neon",
    "mad ssse3 m=16 a=1 g=64", "lut avx2 g=256", "mad avx2 c=r2 r=1 m=4 a=2", "mad c c=r2 r=1 m=1 a=1", "lut avx2",
    "mad avx2 c=n5 a=2 m=8", "mad ssse3 c=b5 a=1 m=4", "mad neondot c=b5 a=2 m=8",
    "tile amx", "tile amx n=256 t=32 b=2560 c=f5 p=0", "tile c", "tile i8mm", "lut avx512vbmi", "lut avx512vnni",
    "lut neon c=l3", "rows avx2", "rows neon", "columns c", "columns avx512vnni",
    "--layout q2r16", "--layout r2r1", "--layout n5r16", "--layout b5r16", "--layout l3r32" }

  local expected = {}
  local function printed(command)
    expected[command] = expected[command] or run("luajit gen/gen.lua " .. command)
    return expected[command]
  end

  for _, lua in ipairs { "lua5.1", "lua5.4", "luajit" } do
    it("prints the same bytes under " .. lua, function()
      if run("command -v " .. lua) == "" then return pending(lua .. " is not installed") end
      for _, command in ipairs(commands) do
        assert.is_true(printed(command) == run(lua .. " gen/gen.lua " .. command), command)
      end
    end)
  end

  it("prints the golden kernels", function()
    assert.equal(read("tests/golden/mad_avx2.c"), run("luajit gen/gen.lua mad avx2"))
    assert.equal(read("tests/golden/lut_avx512vbmi.c"), run("luajit gen/gen.lua lut avx512vbmi"))
  end)

  it("says what is wrong with a request, and exits with the documented status", function()
    local function status(words) return run("(luajit gen/gen.lua " .. words .. "; echo status $?)") end
    assert.matches("no family 'mud'.*status 1", status("mud avx2"))
    assert.matches("no ISA 'avx9'.*status 1", status("mad avx9"))
    assert.matches("a is one of 1 2 4.*status 2", status("mad avx2 a=3"))
    assert.matches("expected k=v.*status 2", status("mad avx2 z=3"))
    assert.matches("cannot be m=8 n=12 p=0 h=1: registers.*status 4", status("mad avx2 m=8 n=12 p=0 h=1"))
    assert.matches("is not offered on avx2.*status 4", status("tile avx2"))
    assert.matches("usage:.*status 2", status(""))
  end)

  it("emits kernels that stand alone and carry their facts", function()
    local k = emit.kernel(space.defaults("lut", "avx2")[1])
    assert.equal("tri_" .. k.name, k.symbol)
    assert.equal("tri_prepare_lut16l2__avx2", k.prepare)
    assert.matches("void " .. k.symbol, k.code, 1, true)
    assert.is_nil(k.code:find("kernel.h", 1, true))
    assert.equal(16, #k.hash)
  end)
end)

describe("literal", function()
  it("reads data", function()
    assert.same({ a = 1, b = { "x", -2.5e3, true }, ["c d"] = "\"\n" },
      literal.read("-- note\nreturn { a = 1, b = { 'x', -2.5e3, true, }, [\"c d\"] = '\\\"\\n' } -- end\n"))
  end)

  it("refuses code, depth, size, and says where", function()
    for text, message in pairs {
      ["os.exit()"] = "line 1: expected 'return', found 'os.exit'",
      ["return os.exit()"] = "line 1: expected a value, found 'os.exit'",
      ["return {\n a = f() }"] = "line 2: expected a value, found 'f'",
      ["return { a = 1 } x"] = "line 1: expected nothing more",
      ["return { a = 1, a = 2 }"] = "line 1: expected each key once",
      ["return { 'x"] = "line 1: expected the end of a string, found the end",
      [""] = "line 1: expected 'return', found the end",
      ["return " .. ("{"):rep(50)] = "line 1: expected at most 16 levels",
    } do
      local value, found = literal.read(text)
      assert.is_nil(value)
      assert.matches(message, found, 1, true)
    end
    assert.is_nil((literal.read("return '" .. ("x"):rep(5000000) .. "'")))
  end)
end)
