-- tables: measures this machine for as long as one has, and writes tables and charts of it: results/<cpu>/tables.md,
-- *.svg, and bench/*.json, from which what was measured is not measured again.
--   luajit bench/tables.lua [--budget SECONDS] [--only NAME,...] [--quick] [--results DIR] [--help for all]

local here = arg[0]:match("^(.*/)[^/]*$") or "./"
package.path = here .. "?.lua;" .. here .. "../tune/?.lua;" .. here .. "../gen/?.lua;" .. package.path

local program = require "program"
local FAILED, USAGE, INTERRUPTED = program.FAILED, program.USAGE, program.INTERRUPTED
local this = program.new("bench", "tables")
local die = this.die

local json = require "cjson"
local host = require "host"
local linux = require "linux"
local hash = require "hash"
local machine = require "machine"
local screen = require "screen"
local list = require "tables.list"
local collect = require "tables.collect"
local run = require "tables.run"
local write = require "tables.write"

-- -- options ---------------------------------------------------------------------------------------------------

local function seconds(text)
  local n = tonumber(text)
  if n and n >= 0 and n <= 86400 then return n end
  return nil, ("expected seconds from 0 to 86400, found '%s'"):format(text)
end

local function names()
  local out = {}
  for i, t in ipairs(list) do out[i] = t.name end
  return out
end

-- Which tables are named with commas: all of them without a text.
local function chosen(text)
  local known, wanted = {}, {}
  for _, name in ipairs(names()) do known[name] = true end
  for word in (text or table.concat(names(), ",")):gmatch("[^,]+") do
    if not known[word] then
      die(USAGE, "--only: no table '%s'; there are %s", word, table.concat(names(), ", "))
    end
    wanted[word] = true
  end
  return wanted
end

local function options()
  local parser = this.parser("Measures this machine, and writes tables and charts of it.")
  parser:option("--budget", "Seconds to measure; what matters most comes first. 0: writes what is there.")
    :default("1200"):convert(seconds)
  parser:option("--only", "Only these tables, with commas: " .. table.concat(names(), ", ") .. ".")
  parser:flag("--quick", "Only the most important runs.")
  parser:flag("--again", "Measure what was measured already, too.")
  parser:option("--results", "Folder of results."):default(host.root .. "results")
  parser:option("--build", "Build directory."):default(host.root .. "build")
  parser:option("--synth", "Shape of the tables that show one."):default("2b4t")
  parser:option("--dense", "Shape whose ternary weights stand against dense ones."):default("3b")
  parser:option("--memory", "Memory for a model, as of tritune (default: what is available).")
  parser:flag("--readme", "Also put the main table between the marks in README.md.")
  parser:flag("--quiet", "No progress.")
  return parser:parse()
end

-- -- what is measured --------------------------------------------------------------------------------------------

local function contents(path)
  return linux.read(path) or die(FAILED, "%s is not built yet: cmake -S . -B build && cmake --build build", path)
end

local function output(command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local text = pipe:read("*a")
  pipe:close()
  return text
end

-- A folder's whole name; dies if it is none.
local function real(path)
  local name = output("cd " .. host.quote(path == "" and "." or path) .. " && pwd -P"):match("^(.+)\n$")
  return name or die(FAILED, "%s: no such folder; build there first, or name the build directory with --build", path)
end

local function commit()
  local git = "git -C " .. host.quote(host.root == "" and "." or host.root)
  local id = output(git .. " rev-parse --short HEAD"):match("^(%x+)\n$")
  if not id then return "not known" end
  local changes = output(git .. " status --porcelain --untracked-files=no -- . ':!results' ':!README.md'")
  return changes == "" and id or id .. "+changes"
end

-- For which CPU the binary was tuned, or "".
local function tuned_for(tritune)
  local ok, said = pcall(json.decode, output(host.quote(tritune) .. " kernels --json"))
  if not ok or type(said) ~= "table" then die(FAILED, "%s cannot be run", tritune) end
  return said.tuned_for or ""
end

local function writes_receipts(tritune)
  return output(host.quote(tritune) .. " bench --help"):find("--report", 1, true) ~= nil
end

-- What runs depend on: this machine, the commit, and by program a hash of all it is made of.
local function surroundings(o, tritune)
  local binary = hash(contents(tritune))
  return { machine = host.cpu(), commit = commit(),
    programs = { tritune = binary, builds = hash(binary .. (linux.read(o.dispatch) or "")),
      kernels = hash(contents(o.build .. "/libtri_tune.so")) } }
end

local function settings(o, tritune, facts)
  local scratch = o.build .. "/tables"
  return { tritune = tritune, root = o.root, build = o.build, folder = o.folder, scratch = scratch, synth = o.synth,
    dense = o.dense, cores = facts.cores, memory = o.memory, tuned = tuned_for(tritune) == host.cpu(),
    has_table = linux.read(o.dispatch, 1) ~= nil }
end

-- -- the command -------------------------------------------------------------------------------------------------

local function folder(path)
  local ok, why = linux.mkdir(path, 493) -- rwxr-xr-x
  if not ok then die(FAILED, "results cannot be written: %s; choose another folder with --results", why) end
end

-- Why a run is not wanted by these options, or nil.
local function unwanted(o)
  local names_of = chosen(o.only)
  return function(x)
    if not names_of[x.table] then return "not asked for: --only" end
    return o.quick and x.level > 1 and "not asked for: --quick" or nil
  end
end

local function main()
  local o = options()
  local skip, facts, view = unwanted(o), machine.facts(), screen.new(o.quiet)
  o.folder = o.results .. "/" .. host.slug(host.cpu())
  o.dispatch = o.folder .. "/dispatch.lua"
  o.root, o.build = real(host.root) .. "/", real(o.build)
  local tritune = o.build .. "/tritune"
  local around, s = surroundings(o, tritune), settings(o, tritune, facts)
  folder(o.folder .. "/bench")
  folder(s.scratch)
  linux.catch_interrupts()
  local runner = run.new { root = o.root, scratch = s.scratch,
    receipts = writes_receipts(tritune) and o.folder .. "/bench" or nil }
  local function say(...) screen.line(view, ...) end
  local plan, found, interrupted = collect.all { tables = list, settings = s, folder = o.folder .. "/bench",
    here = around, measure = function(x, deadline) return run.measure(runner, x, deadline) end, budget = o.budget,
    now = linux.now, stamp = linux.stamp, interrupted = linux.interrupted, say = say,
    status = function(...) screen.status(view, { "tables", ... }) end, again = o.again, unwanted = skip }
  screen.close(view)
  local failed = write.all { tables = list, settings = s, plan = plan, found = found, folder = o.folder, facts = facts,
    root = o.root, here = around, readme = o.readme, say = say }
  os.execute("rm -rf " .. host.quote(s.scratch))
  if interrupted then die(INTERRUPTED, "interrupted; what was measured is kept: the same command goes on") end
  return failed and FAILED or 0
end

local ok, result = pcall(main)
if not ok then die(FAILED, "%s", tostring(result)) end
os.exit(result)
