-- list: the tables, one entry each: what it runs, how rows come of it, how it is drawn. Adding one is adding an entry.
-- Leaves out how anything is run (run.lua), chosen (collect.lua), written (page.lua) or drawn (chart.lua).
--
--   name, title, says     its name, its heading, and what is measured, for people
--   runs(o)               runs, each with id, level, seconds, repetitions, rounds, program, key and turns (below)
--   rows(found, o)        rows out of records: found(id) gives that of a run, or nil
--   columns               { heading, of a row its text[, "left"] } each
--   chart(rows, o)        a list of panels (chart.lua)
--
-- A level is how soon a run is worth its time: 1 for what everybody wants to see, 3 for what a long budget is for.
-- o: tritune (path), root, build, folder (results of this machine), scratch, synth and dense (sizes), cores, tuned
-- (whether tritune is), has_table (whether the machine is), memory (or nil).

local cost = require "tables.cost"
local figures = require "tables.figures"
local samples = require "tables.samples"

local LOADED = 128 -- tokens of a prompt, where prompts are not what is looked at

-- -- runs ------------------------------------------------------------------------------------------------------

local function commas(list) return table.concat(list, ",") end

-- A turn of `tritune bench`. t: size or model (a file); prompt, gen, depth, threads: lists; more: further words.
local function turn(o, t)
  local words = { t.program or o.tritune, "bench", t.model and "-m" or "--synth", t.model or t.size,
    "-p", commas(t.prompt or { 0 }), "-n", commas(t.gen or { 0 }) }
  local function add(...) for _, word in ipairs { ... } do words[#words + 1] = word end end
  if t.depth then add("-d", commas(t.depth)) end
  if t.threads then add("-t", commas(t.threads)) end
  if o.memory then add("--memory", o.memory) end
  add(unpack(t.more or {}))
  t.repetitions, t.cores = t.repetitions or 3, o.cores
  return { label = t.label or "", words = words, repetitions = t.repetitions, seconds = cost.bench(t),
    forget = t.forget, cached = t.cached }
end

-- A run of turns that follow each other in rounds.
local function run(r)
  r.rounds, r.program, r.seconds, r.repetitions = r.rounds or 1, r.program or "tritune", r.seconds or 0, math.huge
  local said = {}
  for i, t in ipairs(r.turns) do
    r.seconds = r.seconds + r.rounds * t.seconds
    r.repetitions = math.min(r.repetitions, r.rounds * t.repetitions)
    said[i] = t.label .. ": " .. table.concat(t.words, " ", 2)
  end
  r.key = table.concat(said, "; ")
  return r
end

-- A table's only run of one process.
local function single(o, id, level, t) return run { id = id, level = level, turns = { turn(o, t) } } end

-- 1, 2, 4 ... and `most`; every number if there are few.
local function threads_to(most)
  local list, step = {}, 1
  while step < most do
    list[#list + 1] = step
    step = most <= 4 and step + 1 or 2 * step
  end
  list[#list + 1] = most
  return list
end

-- -- rows ------------------------------------------------------------------------------------------------------

-- Rows of all turns of a record, in pairs of what decoding and prompts reached: by whatever `key` of a row says.
local function paired(record, key)
  local rows, by = {}, {}
  for _, t in ipairs(record and record.turns or {}) do
    for _, r in ipairs(samples.rows(t)) do
      local at = t.label .. " " .. tostring(r[key])
      if not by[at] then
        by[at] = { label = t.label, [key] = r[key], facts = r, record = record }
        rows[#rows + 1] = by[at]
      end
      by[at][r.gen > 0 and "decode" or "prompt"] = r
    end
    if t.refused then rows[#rows + 1] = { label = t.label, refused = t.refused, record = record } end
  end
  return rows
end

local function appended(rows, more)
  for _, r in ipairs(more) do rows[#rows + 1] = r end
  return rows
end

-- -- columns and charts --------------------------------------------------------------------------------------------

local function speed(field)
  return function(r) return r[field] and figures.text(r[field].speed) or r.refused and "does not fit" or "" end
end
local function memory(r)
  if r.refused then return "takes " .. figures.bytes(samples.taken(r.refused)) end
  return r.facts and figures.bytes(r.facts.rss) or ""
end
local function share(r) return r.decode and figures.percent(r.decode.share) or "" end
local function label(r) return r.label end

local DECODE, PROMPT = { "decode, t/s", speed "decode" }, { "prompt, t/s", speed "prompt" }
local MEMORY, SHARE = { "memory", memory }, { "of read bandwidth", share }

-- Points of a line: x by a field of the row or a function, y the figures of decode or prompt.
local function line(rows, title, x, phase)
  local points = {}
  for _, r in ipairs(rows) do
    if r[phase] then points[#points + 1] = { x = type(x) == "function" and x(r) or r[x], y = r[phase].speed } end
  end
  return { title = title, points = points }
end

local function lines(panel)
  panel.kind = "lines"
  return panel
end

-- One panel of bars; value: figures of a row or nil.
local function bars(title, y, rows, value)
  local list = {}
  for _, r in ipairs(rows) do
    local f = value(r)
    if f then list[#list + 1] = { label = label(r), y = f } end
  end
  return { kind = "bars", title = title, y = y, bars = list }
end

local function decoded(r) return r.decode and r.decode.speed end
local function prompted(r) return r.prompt and r.prompt.speed end

-- -- the tables ----------------------------------------------------------------------------------------------------

local list = {}

local sizes = { { "125m", 1 }, { "350m", 1 }, { "1b", 1 }, { "1.5b", 2 }, { "2b4t", 1 }, { "2.7b", 2 }, { "3b", 1 },
  { "3.8b", 2 }, { "7b", 2 }, { "13b", 2 }, { "30b", 3 }, { "70b", 3 }, { "100b", 3 } }

local function size_of(r) return r.size end

list[#list + 1] = {
  name = "sizes", title = "Models from 125M to 100B",
  says = "Random weights in the shapes of known models: decoding 32 tokens (from 10B on 8), and a prompt of 128. Where "
    .. "two bits a weight do not fit into memory, weights take 1.6; of what does not fit either way the table has the "
    .. "bytes it would take.",
  runs = function(o)
    local runs = {}
    for _, s in ipairs(sizes) do
      local large = cost.weights(s[1]) >= 10
      runs[#runs + 1] = single(o, "sizes-" .. s[1], s[2], { size = s[1], prompt = { LOADED },
        gen = { large and 8 or 32 }, repetitions = large and 2 or 3 })
    end
    return runs
  end,
  rows = function(found)
    local rows = {}
    for _, s in ipairs(sizes) do
      for _, r in ipairs(paired(found("sizes-" .. s[1]), "depth")) do
        r.size = s[1]
        r.bits = samples.short_of_memory(r.record) and "1.6" or "2"
        rows[#rows + 1] = r
      end
    end
    return rows
  end,
  columns = { { "model", size_of, "left" }, { "weights, 10^9", function(r)
      return r.facts and figures.number(r.facts.parameters / 1e9) or ""
    end }, { "bits", function(r) return r.refused and "" or r.bits end }, MEMORY, DECODE, SHARE, PROMPT },
  chart = function(rows)
    local function weights(r) return r.facts.parameters / 1e9 end
    return { lines { title = "Tokens per second by size of the model", x = "weights, billions", y = "tokens/s",
      log_x = 10, log_y = true,
      series = { line(rows, "prompt of 128", weights, "prompt"), line(rows, "decoding", weights, "decode") } } }
  end,
}

-- A build of this tree with that dispatch table ("none": without), its own folder, its binary.
local function built(o, which, dispatch)
  local folder = o.build .. "/tables-" .. which
  local binary = folder .. "/tritune"
  return binary, { makes = binary, again = true, words = { "sh", "-c", 'cmake -S "$1" -B "$2" -DTRI_DISPATCH="$3" '
    .. '-DTRI_TESTS=OFF && cmake --build "$2" --target tritune -j "$4"', "sh", o.root, folder, dispatch,
    tostring(o.cores) } }
end

local BUILDING, TUNING = 150, 90 -- seconds

-- What the winners need: this machine's table, made first if there is none.
local function tuning(o)
  return { makes = o.folder .. "/dispatch.lua", words = { "luajit", o.root .. "tune/tune.lua", "--budget",
    tostring(TUNING), "--build", o.build, "--results", (o.folder:gsub("/[^/]*$", "")), "--quiet" } }
end

-- Tuned and default binaries in turns. The one that o.tritune is not is built; tuning comes first where there is no
-- table.
local function tuned_against_default(o, level, rounds)
  local untuned = not o.tuned and not o.has_table
  local prepare = { untuned and tuning(o) or nil }
  local binary, build = built(o, o.tuned and "default" or "tuned", o.tuned and "none" or o.folder .. "/dispatch.lua")
  prepare[#prepare + 1] = build
  local function side(name, program)
    return turn(o, { label = name, program = program, size = o.synth, prompt = { LOADED }, gen = { 32 },
      repetitions = 2 })
  end
  return run { id = "tuned", level = level, rounds = rounds, program = "builds", prepare = prepare,
    seconds = BUILDING + (untuned and TUNING or 0),
    turns = { side("tuned", o.tuned and o.tritune or binary), side("default", o.tuned and binary or o.tritune) } }
end

-- A factor over the first row of `base` among rows: "12.3".
local function factors(rows, base)
  for _, phase in ipairs { "decode", "prompt" } do
    local one
    for _, r in ipairs(rows) do if r.label == base and r[phase] then one = r[phase].speed.median end end
    for _, r in ipairs(rows) do
      if one and r[phase] then r[phase .. "_factor"] = r[phase].speed.median / one end
    end
  end
  return rows
end

local function factor(field) return function(r) return figures.number(r[field .. "_factor"]) end end

list[#list + 1] = {
  name = "tuned", title = "Tuned, default, plain C",
  says = "End to end: kernels that tuning chose on this machine, those that a binary has without tuning, and the plain "
    .. "C that defines what all of them compute. Plain C ran a prompt of 8 and decoded 4 tokens, the others 128 and "
    .. "32.",
  runs = function(o)
    return {
      run { id = "plain", level = 1, turns = {
        turn(o, { label = o.tuned and "tuned" or "default", size = o.synth, prompt = { LOADED }, gen = { 32 },
          repetitions = 2 }),
        turn(o, { label = "plain C", size = o.synth, prompt = { 8 }, gen = { 4 }, repetitions = 2, slow = 40,
          more = { "--isa", "c" } }) } },
      tuned_against_default(o, 2, 3) }
  end,
  rows = function(found)
    local pair, rows = paired(found("tuned"), "depth"), {}
    for _, r in ipairs(paired(found("plain"), "depth")) do
      if #pair == 0 or r.label == "plain C" then rows[#rows + 1] = r end
    end
    return factors(appended(pair, rows), "plain C")
  end,
  columns = { { "kernels", label, "left" }, DECODE, { "times plain C", factor "decode" }, PROMPT,
    { "times plain C", factor "prompt" } },
  chart = function(rows, o)
    return { bars("Decoding, " .. o.synth, "tokens/s", rows, decoded),
      bars("Prompt, " .. o.synth, "tokens/s", rows, prompted) }
  end,
}

local dense_types = { { "ternary", { "--bits", "2" } }, { "ternary, 1.6 bits", { "--bits", "1.6" } },
  { "Q4_0", { "--weights", "q4_0" } }, { "Q8_0", { "--weights", "q8_0" } }, { "F16", { "--weights", "f16" } } }

local function dense_turns(o)
  local turns = {}
  for i, t in ipairs(dense_types) do
    turns[i] = turn(o, { label = t[1], size = o.dense, prompt = { LOADED }, gen = { 16 }, repetitions = 2, more = t[2],
      slow = i > 2 and 3 or 1 })
  end
  return turns
end

list[#list + 1] = {
  name = "dense", title = "Ternary against Q4_0, Q8_0 and F16",
  says = "The same shape with dense weights through kernels of this project, in one run, in turns.",
  runs = function(o)
    return { run { id = "dense", level = 1, turns = dense_turns(o) },
      run { id = "dense", level = 3, rounds = 3, turns = dense_turns(o) } }
  end,
  rows = function(found) return factors(paired(found("dense"), "depth"), "F16") end,
  columns = { { "weights", label, "left" }, MEMORY, DECODE, { "times F16", factor "decode" }, SHARE, PROMPT,
    { "times F16", factor "prompt" } },
  chart = function(rows, o)
    return { bars("Decoding, " .. o.dense, "tokens/s", rows, decoded),
      bars("Prompt of 128, " .. o.dense, "tokens/s", rows, prompted),
      bars("Memory, " .. o.dense, "GiB", rows, function(r) return r.facts and figures.of { r.facts.rss / 2 ^ 30 } end) }
  end,
}

local function on_all(o) return ("%d thread%s"):format(o.cores, o.cores == 1 and "" or "s") end

list[#list + 1] = {
  name = "threads", title = "Threads",
  says = "The same model with more and more threads: decoding 32 tokens, and a prompt of 128.",
  runs = function(o)
    return { single(o, "threads", 1, { size = o.synth, prompt = { LOADED }, gen = { 32 }, threads = threads_to(o.cores),
      repetitions = 2 }) }
  end,
  rows = function(found) return paired(found("threads"), "threads") end,
  columns = { { "threads", function(r) return ("%d"):format(r.threads or 0) end }, DECODE, SHARE, PROMPT },
  chart = function(rows, o)
    return { lines { title = "Decoding, " .. o.synth, x = "threads", y = "tokens/s", whole_x = true,
        series = { line(rows, "decoding", "threads", "decode") } },
      lines { title = "Prompt of 128, " .. o.synth, x = "threads", y = "tokens/s", whole_x = true,
        series = { line(rows, "prompt", "threads", "prompt") } } }
  end,
}

list[#list + 1] = {
  name = "prompts", title = "Length of the prompt",
  says = "Tokens of a prompt that are fed at once: the longer it is, the more often each weight that was read is used.",
  runs = function(o)
    return { single(o, "prompts", 1, { size = o.synth, prompt = { 1, 4, 16, 64, 256 }, repetitions = 2 }),
      single(o, "prompts-long", 2, { size = o.synth, prompt = { 512, 1024, 2048 }, repetitions = 2 }) }
  end,
  rows = function(found)
    return appended(paired(found("prompts"), "tokens"), paired(found("prompts-long"), "tokens"))
  end,
  columns = { { "tokens", function(r) return ("%d"):format(r.tokens or 0) end }, PROMPT },
  chart = function(rows, o)
    return { lines { title = ("Prompts, %s, %s"):format(o.synth, on_all(o)), x = "tokens of the prompt", y = "tokens/s",
      log_x = 2, series = { line(rows, "prompt", "tokens", "prompt") } } }
  end,
}

list[#list + 1] = {
  name = "depth", title = "Depth of the cache",
  says = "Decoding 16 tokens behind so many that are in the KV cache (F16), and what reading them adds.",
  runs = function(o)
    return { single(o, "depth", 1, { size = o.synth, gen = { 16 }, depth = { 0, 256, 512 }, repetitions = 2 }),
      single(o, "depth-long", 2, { size = o.synth, gen = { 16 }, depth = { 1024, 2048, 4096 }, repetitions = 2 }) }
  end,
  rows = function(found) return appended(paired(found("depth"), "depth"), paired(found("depth-long"), "depth")) end,
  columns = { { "tokens before", function(r) return ("%d"):format(r.depth or 0) end }, DECODE, SHARE,
    { "of it KV", function(r) return r.decode and figures.percent(r.decode.kv) or "" end } },
  chart = function(rows, o)
    return { lines { title = ("Decoding, %s, %s"):format(o.synth, on_all(o)), x = "tokens in the cache", y = "tokens/s",
      series = { line(rows, "decoding", "depth", "decode") } } }
  end,
}

local function loading(o)
  local gguf, packed = o.scratch .. "/load.gguf", o.scratch .. "/load-packed.gguf"
  local function one(name, file, state)
    return turn(o, { label = name, size = o.synth, model = file, gen = { 1 }, repetitions = 1, [state] = file })
  end
  return run { id = "load", level = 1, rounds = 3, seconds = 3 + 6 * cost.weights(o.synth),
    prepare = { { makes = gguf, words = { o.tritune, "synth", o.synth, "--out", gguf } },
      { makes = packed, words = { o.tritune, "synth", o.synth, "--type", "tritune", "--out", packed } } },
    turns = { one("GGUF (I2_S), cold", gguf, "forget"), one("GGUF (I2_S), in the page cache", gguf, "cached"),
      one("packed, cold", packed, "forget"), one("packed, in the page cache", packed, "cached") } }
end

local function load_ms(r) return r.facts and r.facts.load_ms end

list[#list + 1] = {
  name = "load", title = "Loading",
  says = "From the start of reading to ready, of a file whose pages were dropped before (cold) or read before (page "
    .. "cache): as GGUF, which is packed while it is loaded, and as this machine's packed file, which is mapped as it "
    .. "is.",
  runs = function(o) return { loading(o) } end,
  rows = function(found) return paired(found("load"), "depth") end,
  columns = { { "file", label, "left" }, { "load, ms", function(r) return figures.text(load_ms(r)) end }, MEMORY },
  chart = function(rows, o) return { bars("Loading, " .. o.synth, "ms", rows, load_ms) } end,
}

return list
