-- claims: what is said of ternary models on CPUs in public, beside what arithmetic allows and what was measured here:
-- results/claims.md. The same inputs give the same bytes.
--   luajit bench/claims.lua [--build DIR] [--tritune FILE] [--results DIR] [--out FILE]

local here = arg[0]:match("^(.*/)[^/]*$") or "./"
package.path = here .. "?.lua;" .. here .. "../tune/?.lua;" .. here .. "../gen/?.lua;" .. package.path

local program = require "program"
local FAILED = program.FAILED
local this = program.new("bench", "claims")
local die = this.die

local host = require "host"
local linux = require "linux"
local facts = require "claims.facts"
local page = require "claims.page"

local function options()
  local parser = this.parser("Holds public claims against arithmetic and measurements.")
  parser:option("--build", "Build directory."):default(host.root .. "build")
  parser:option("--tritune", "The program (default: that of the build directory).")
  parser:option("--results", "Folder of results; this machine's folder in it is read."):default(host.root .. "results")
  parser:option("--out", "File to write, - for standard output (default: claims.md in the folder of results).")
  return parser:parse()
end

local function main()
  local o, cpu = options(), host.cpu()
  local tritune = o.tritune or o.build .. "/tritune"
  if not linux.read(tritune, 1) then
    die(FAILED, "%s is not built yet: cmake -S . -B build && cmake --build build", tritune)
  end
  local text = page(facts.all { root = host.root, lua = "luajit", tritune = tritune,
    folder = o.results .. "/" .. host.slug(cpu) }, cpu)
  if o.out == "-" then
    io.stdout:write(text)
    return 0
  end
  local ok, why = linux.replace(o.out or o.results .. "/claims.md", text)
  if not ok then die(FAILED, "%s", why) end
  return 0
end

os.exit(main())
