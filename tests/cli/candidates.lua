-- candidates: what the tuner makes of kernels that are wrong, crash, hang or write where they may not; and
-- that it names this CPU as the runtime does.   luajit candidates.lua PROJECT BUILD FOLDER
local root, built, folder = arg[1] .. "/", arg[2], arg[3]
package.path = root .. "tune/?.lua;" .. root .. "gen/?.lua;" .. package.path

local linux = require "linux"
local host = require "host"
local build = require "build"
local measure = require "measure"
local space = require "space"
local emit = require "emit"

-- Around the default kernel of plain C: what is done after its work, and what must be said of it.
local cases = {
  { "right", "", nil },
  { "wrong", "if (m1 - m0 > 2) y[2]++;", "y%[0%]%[%d+%] is %-?%d+, not %-?%d+" },
  { "writes before", "y[-1] = 1;", "wrote %d+ bytes before y" },
  { "writes behind", "for (int i = 0; i < 4096; i++) y[m1 - m0 + i] = 1;", "^crash: signal 11" },
  { "reads behind", "(void)*(const volatile uint8_t *)(w + ((size_t)1 << 30));", "^crash: signal 11" },
  { "traps", "__builtin_trap();", "^crash: signal" },
  { "leaves", "extern void _exit(int); _exit(3);", "^crash: exit 3" },
  { "hangs", "for (;;) __asm__ volatile(\"\");", "^timeout" },
}

local parameters = "const uint8_t *w, int m0, int m1, int k, const void *x, size_t ldx, const int32_t *xsum, "
  .. "int32_t *y, size_t ldy"

local function candidate(what, after)
  local k = emit.kernel(space.defaults("mad", "c")[1])
  k.code = ("#define %s inner\n%s\n#undef %s\n"):format(k.symbol, k.code, k.symbol)
    .. ("void %s(%s)\n{\n"):format(k.symbol, parameters)
    .. ("    inner(w, m0, m1, k, x, ldx, xsum, y, ldy);\n    %s\n}\n"):format(after)
  k.hash = what
  return build.candidate(k, emit.layout(k.layout))
end

local failed = 0
local function expect(ok, ...)
  if ok then return end
  failed = failed + 1
  print(...)
end

linux.catch_interrupts()
local library = built .. "/libtri_tune.so"
local b = build.new(folder, host.compiler(), 2)
local m = measure.new { root = root, library = library, threads = 2, deadline = 20 }
local hello = assert(measure.ask(m, { op = "hello" }))
expect(hello.cpu == host.cpu(), "cpu", hello.cpu, host.cpu())
expect(hello.arch == host.arch(), "arch", hello.arch, host.arch())

local list = {}
for i, case in ipairs(cases) do list[i] = candidate(case[1], case[2]) end
build.all(b, list, math.huge)
for i, case in ipairs(cases) do
  local c = list[i]
  expect(c.so, case[1], c.failed)
  m.deadline = case[1] == "hangs" and 2 or 20
  local why = c.so and measure.verify(m, c)
  expect((why == nil) == (case[3] == nil) and (not why or why:match(case[3])), case[1], why)
end
m.deadline = 20

-- After all that, a child that works; and one that dies while timing is a failure, too.
local job = { m = 256, k = 256, weights = 65536 }
expect(measure.verify(m, list[1]) == nil, "right, again")
local ns, why = measure.time(m, { list[1] }, job, 1)
expect(ns and ns > 0, "timed", why)
ns, why = measure.time(m, { list[6] }, job, 1)
expect(not ns and why:match("^crash: signal"), "crash while timed", why)
ns, why = measure.time(m, { list[1] }, { m = 2 ^ 30, k = 2 ^ 20 }, 1)
expect(not ns and why:match("memory for weights"), "too large", why)
ns, why = measure.time(m, { list[1] }, { m = 0, k = 256 }, 1)
expect(not ns and why:match("cannot be timed"), "no rows", why)
measure.close(m)
os.exit(failed == 0 and 0 or 1)
