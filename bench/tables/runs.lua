-- runs: what is to be run, in the words of a command: runs of one or several turns, each a process, and what must be
-- made before. Leaves out which tables want them (list.lua) and who runs them (run.lua).
--   { id, level, rounds, program, key, repetitions, seconds, prepare = { { makes, words, again }, ... },
--     turns = { { kind, label, words, repetitions, seconds, forget, cached }, ... } }
-- program: what it depends on (tables.lua has a hash of each); key: what makes it the same run; makes: a file;
-- again: make it even if it is there; forget, cached: a file that is to be out of the page cache before, or in it.

local host = require "host"
local cost = require "tables.cost"

local runs = {}

local function commas(list) return table.concat(list, ",") end

-- A turn of `tritune bench`. t: size (o.synth), or model, a file of that size; prompt, gen, depth, threads: lists;
-- more: further words; program (o.tritune), repetitions (3), label, forget, cached; slow: of cost.lua.
function runs.turn(o, t)
  t.size = t.size or o.synth
  local words = { t.program or o.tritune, "bench", t.model and "-m" or "--synth", t.model or t.size,
    "-p", commas(t.prompt or { 0 }), "-n", commas(t.gen or { 0 }) }
  local function add(...) for _, word in ipairs { ... } do words[#words + 1] = word end end
  if t.depth then add("-d", commas(t.depth)) end
  if t.threads then add("-t", commas(t.threads)) end
  if o.memory then add("--memory", o.memory) end
  add(unpack(t.more or {}))
  t.repetitions, t.cores = t.repetitions or 3, o.cores
  return { kind = "bench", label = t.label or "", words = words, repetitions = t.repetitions, seconds = cost.bench(t),
    forget = t.forget, cached = t.cached }
end

-- A turn of bench/kernels.lua. t: shape, threads, tokens; seconds: that it takes by a guess. Kernels of scales for
-- groups of columns are left out.
function runs.kernels(o, t)
  local call = t.tokens > 1 and "/tokens:[0-9]+" or "(/active:[0-9.]+)?"
  return { kind = "kernels", label = "", repetitions = 3, seconds = t.seconds, words = { "luajit",
    o.root .. "bench/kernels.lua", "--build", o.build, "--shapes", t.shape, "--threads", tostring(t.threads), "--batch",
    tostring(t.tokens), "--benchmark_min_time=0.03",
    ("--benchmark_filter=^[a-z]+_[a-z0-9]+_[^_g]+__[a-z0-9]+/%s%s/threads:%d/cold"):format(t.shape, call, t.threads) } }
end

local function plain(word) return word:match("^[%w%-%._,/=:]+$") and word or host.quote(word) end

-- A command as a person would type it in the project's folder, root, whose name is left out.
function runs.shown(root, words)
  local said = {}
  for i, word in ipairs(words) do said[i] = plain(runs.inside(root, word)) end
  return table.concat(said, " ")
end

-- A text without the name of the project's folder, where that stands.
function runs.inside(root, text)
  local from, to = text:find(root, 1, true)
  while from do
    text = text:sub(1, from - 1) .. text:sub(to + 1)
    from, to = text:find(root, from, true)
  end
  return text
end

-- A run of turns that follow each other, in r.rounds rounds (1). r: id, level, turns; program ("tritune"), prepare;
-- seconds: of what is made before.
function runs.run(o, r)
  r.rounds, r.program, r.seconds, r.repetitions = r.rounds or 1, r.program or "tritune", r.seconds or 0, math.huge
  local said = {}
  for i, t in ipairs(r.turns) do
    r.seconds = r.seconds + r.rounds * t.seconds
    r.repetitions = math.min(r.repetitions, r.rounds * t.repetitions)
    said[i] = t.label .. ": " .. runs.shown(o.root, { unpack(t.words, 2) })
  end
  r.key = table.concat(said, "; ")
  return r
end

-- A run of one process of `tritune bench`.
function runs.single(o, id, level, t)
  return runs.run(o, { id = id, level = level, turns = { runs.turn(o, t) } })
end

-- 1, 2, 4 ... and `most`; every number if there are few.
function runs.threads_to(most)
  local list, step = {}, 1
  while step < most do
    list[#list + 1] = step
    step = most <= 4 and step + 1 or 2 * step
  end
  list[#list + 1] = most
  return list
end

-- -- binaries --------------------------------------------------------------------------------------------------

-- A build of this tree with that dispatch table ("none": without), in a folder of its own: its binary, and what makes
-- it.
local function built(o, which, dispatch)
  local folder = o.build .. "/tables-" .. which
  local binary = folder .. "/tritune"
  return binary, { makes = folder .. "/CMakeCache.txt", again = true, words = { "cmake", "-S", o.root, "-B", folder,
    "-DTRI_DISPATCH=" .. dispatch, "-DTRI_TESTS=OFF" } }, { makes = binary, again = true, words = { "cmake", "--build",
    folder, "--target", "tritune", "-j", tostring(o.cores) } }
end

local BUILDING, TUNING = 150, 90 -- seconds

-- This machine's table, made if there is none.
local function tuning(o)
  return { makes = o.folder .. "/dispatch.lua", words = { "luajit", o.root .. "tune/tune.lua", "--budget",
    tostring(TUNING), "--build", o.build, "--results", (o.folder:gsub("/[^/]*$", "")), "--quiet" } }
end

-- Tuned and default binaries in turns. The one that o.tritune is not is built; tuning comes first where there is no
-- table. t: what both run (runs.turn).
function runs.tuned_against_default(o, level, rounds, t)
  local untuned = not o.tuned and not o.has_table
  local prepare = { untuned and tuning(o) or nil }
  local binary, configure, build = built(o, o.tuned and "default" or "tuned",
    o.tuned and "none" or o.folder .. "/dispatch.lua")
  for _, step in ipairs { configure, build } do prepare[#prepare + 1] = step end
  local function side(name, program)
    return runs.turn(o, setmetatable({ label = name, program = program }, { __index = t }))
  end
  return runs.run(o, { id = "tuned", level = level, rounds = rounds, program = "builds", prepare = prepare,
    seconds = BUILDING + (untuned and TUNING or 0),
    turns = { side("tuned", o.tuned and o.tritune or binary), side("default", o.tuned and binary or o.tritune) } })
end

return runs
