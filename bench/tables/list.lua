-- list: the tables, one entry each: what it runs, how rows come of it, how it is drawn. Adding one is adding an entry.
-- Leaves out how anything is run (run.lua), chosen (collect.lua), written (page.lua) or drawn (chart.lua).
--
--   name, title, says     its name, its heading, and what is measured, for people
--   runs(o)               its runs (runs.lua)
--   rows(found, o)        rows out of records: found(id) gives that of a run, or nil
--   columns               { heading, of a row its text[, "left"] } each
--   chart(rows, o)        a list of panels (chart.lua)
--   spread(row)           the figures of a row, whose spread tells of noise; speeds where nothing is said
--
-- A run's level is how soon it is worth its time: 1 for what everybody wants to see, 3 for what a long budget is for.
-- o: tritune (path), root, build, folder (results of this machine), scratch, synth and dense (sizes), cores, tuned
-- (whether tritune is), has_table (whether the machine is), memory (or nil).

local cost = require "tables.cost"
local figures = require "tables.figures"
local samples = require "tables.samples"
local runs = require "tables.runs"
local show = require "tables.show"
local kernels = require "tables.kernels"
local peers = require "tables.peers"

local PROMPT = 128 -- tokens of a prompt, where its length is not what is looked at

local function on_all(o) return ("%d thread%s"):format(o.cores, o.cores == 1 and "" or "s") end

local list = {}

-- -- sizes -----------------------------------------------------------------------------------------------------

local THREE_OF_FOUR = { "--three-of-four", "--bits", "1.25" }

-- Size, level, and what is more than a size: the name it has, bits a weight, and words of the command.
local sizes = { { "125m", 1 }, { "350m", 2 }, { "1b", 2 }, { "1.5b", 2 }, { "2b4t", 1 }, { "2.7b", 2 }, { "3b", 2 },
  { "3.8b", 2 }, { "7b", 2 }, { "13b", 2 }, { "30b", 3 }, { "70b", 3 }, { "100b", 3 },
  { "100b", 3, "100b-three-of-four", "1.25", THREE_OF_FOUR } }

local function size_run(o, s)
  local large = cost.weights(s[1]) >= 10
  return runs.single(o, "sizes-" .. (s[3] or s[1]), s[2], { size = s[1], prompt = { PROMPT },
    gen = { large and 8 or 32 }, repetitions = large and 2 or 3, more = s[5] })
end

local function size_rows(found, s)
  local rows = show.paired(found("sizes-" .. (s[3] or s[1])), "depth")
  for _, r in ipairs(rows) do
    r.size, r.bits = s[1], s[4] or samples.short_of_memory(r.record) and "1.6" or "2"
  end
  return rows
end

local function weights(r) return r.facts and r.facts.parameters / 1e9 end

list[#list + 1] = {
  name = "sizes", title = "Models from 125M to 100B",
  says = "Random weights in the shapes of known models: decoding 32 tokens (from 10B on 8), and a prompt of 128. Where "
    .. "two bits a weight do not fit into memory, weights take 1.6; of what does not fit either way the table has the "
    .. "bytes it would take. 1.25 bits are for models trained so that exactly one weight in four is 0.",
  runs = function(o)
    local all = {}
    for i, s in ipairs(sizes) do all[i] = size_run(o, s) end
    return all
  end,
  rows = function(found)
    local rows = {}
    for _, s in ipairs(sizes) do show.append(rows, size_rows(found, s)) end
    return rows
  end,
  columns = { { "model", function(r) return r.size end, "left" },
    { "weights, 10^9", function(r) return figures.number(weights(r)) end },
    { "bits", function(r) return r.refused and "" or r.bits end }, show.MEMORY, show.DECODE, show.SHARE, show.PROMPT },
  chart = function(rows)
    local usual = {}
    for _, r in ipairs(rows) do if r.bits ~= "1.25" then usual[#usual + 1] = r end end
    return { { kind = "lines", title = "Tokens per second by size of the model", x = "weights, billions",
      y = "tokens/s", log_x = 10, log_y = true, series = { show.line(usual, "prompt of 128", weights, "prompt"),
        show.line(usual, "decoding", weights, "decode") } } }
  end,
}

-- -- tuned -----------------------------------------------------------------------------------------------------

local function plain(o)
  return runs.run(o, { id = "plain", level = 1, turns = {
    runs.turn(o, { label = o.tuned and "tuned" or "default", prompt = { PROMPT }, gen = { 32 }, repetitions = 2 }),
    runs.turn(o, { label = "plain C", prompt = { 8 }, gen = { 4 }, repetitions = 2, slow = 40,
      more = { "--isa", "c" } }) } })
end

list[#list + 1] = {
  name = "tuned", title = "Tuned, default, plain C",
  says = "End to end: kernels that tuning chose on this machine, those that a binary has without tuning, and the plain "
    .. "C that defines what all of them compute. Plain C ran a prompt of 8 and decoded 4 tokens, the others 128 and "
    .. "32.",
  runs = function(o)
    return { plain(o), runs.tuned_against_default(o, 2, 3, { prompt = { PROMPT }, gen = { 32 }, repetitions = 2 }) }
  end,
  rows = function(found)
    local rows = show.paired(found("tuned"), "depth")
    local both = #rows > 0
    for _, r in ipairs(show.paired(found("plain"), "depth")) do
      if not both or r.label == "plain C" then rows[#rows + 1] = r end
    end
    return show.factors(rows, "plain C")
  end,
  columns = { { "kernels", show.label, "left" }, show.DECODE, show.factor("times plain C", "decode"), show.PROMPT,
    show.factor("times plain C", "prompt") },
  chart = function(rows, o)
    return { show.bars("Decoding, " .. o.synth, "tokens/s", rows, show.decoded),
      show.bars("Prompt, " .. o.synth, "tokens/s", rows, show.prompted) }
  end,
}

-- -- dense -----------------------------------------------------------------------------------------------------

local dense_types = { { "ternary", { "--bits", "2" } }, { "ternary, 1.6 bits", { "--bits", "1.6" } },
  { "ternary 3:4, 1.25 bits", THREE_OF_FOUR },
  { "Q4_0", { "--weights", "q4_0" }, "q4_0" }, { "Q8_0", { "--weights", "q8_0" }, "q8_0" },
  { "F16", { "--weights", "f16" }, "f16" } }

local function dense_run(o, level, rounds)
  local turns = {}
  for i, t in ipairs(dense_types) do
    turns[i] = runs.turn(o, { label = t[1], size = o.dense, prompt = { PROMPT }, gen = { 16 }, repetitions = 2,
      more = t[2], slow = t[3] and 3 })
  end
  return runs.run(o, { id = "dense", level = level, rounds = rounds, turns = turns })
end

-- Where another program is known to be faster with these weights, its figures stand in place of ours.
local function fairly(row, kind, o)
  local best, said = peers.faster(o.folder, kind, o.cores), {}
  for _, phase in ipairs { "decode", "prompt" } do
    local f = best[phase]
    if f and row[phase] then
      row[phase] = setmetatable({ speed = f.speed, share = false }, { __index = row[phase] })
      said[#said + 1] = ("%s by %s (%s)"):format(phase, f.peer, f.test)
    end
  end
  row.by = #said > 0 and table.concat(said, ", ") or nil
end

list[#list + 1] = {
  name = "dense", title = "Ternary against Q4_0, Q8_0 and F16",
  says = "The same shape with ternary and with dense weights, in one run, in turns, through kernels of this project; "
    .. "where another program was faster with dense weights, side by side, the figure is that program's, and named.",
  runs = function(o) return { dense_run(o, 2, 1), dense_run(o, 3, 3) } end,
  rows = function(found, o)
    local rows = show.paired(found("dense"), "depth")
    for _, r in ipairs(rows) do
      for _, t in ipairs(dense_types) do
        if t[3] and t[1] == r.label then fairly(r, t[3], o) end
      end
    end
    return show.factors(rows, "F16")
  end,
  columns = { { "weights", show.label, "left" }, show.MEMORY, show.DECODE, show.factor("times F16", "decode"),
    show.SHARE, show.PROMPT, show.factor("times F16", "prompt"),
    { "other programs", function(r) return r.by end, "left" } },
  chart = function(rows, o)
    local function memory(r) return r.facts and figures.of { r.facts.rss / 2 ^ 30 } end
    return { show.bars("Decoding, " .. o.dense, "tokens/s", rows, show.decoded),
      show.bars("Prompt of 128, " .. o.dense, "tokens/s", rows, show.prompted),
      show.bars("Memory, " .. o.dense, "GiB", rows, memory) }
  end,
}

-- -- kernels ---------------------------------------------------------------------------------------------------

local shapes = { "6912x2560", "2560x6912", "2560x2560" } -- of 2B4T: gate and up, down, output of attention

local function kernel_runs(o, prefix, levels, tokens, seconds)
  local all = {}
  for i, shape in ipairs(shapes) do
    all[i] = runs.run(o, { id = prefix .. "-" .. shape, level = levels[i], program = "kernels",
      turns = { runs.kernels(o, { shape = shape, threads = o.cores, tokens = tokens, seconds = seconds }) } })
  end
  return all
end

local function kernel_rows(found, prefix, by)
  local rows = {}
  for _, shape in ipairs(shapes) do
    show.append(rows, kernels.best(kernels.rows(found(prefix .. "-" .. shape)), by))
  end
  return rows
end

-- The first shape alone: the others look alike, and all in one picture would be too many to read.
local function kernel_panel(rows, title, unit, by)
  local first = {}
  for _, r in ipairs(rows) do if r.shape == rows[1].shape then first[#first + 1] = r end end
  return { show.bars(("%s, %s"):format(title, rows[1].shape), unit, first, function(r) return r[by] end) }
end

local function percent(r) return figures.percent(r.percent) end
local KERNEL, SHAPE = { "kernel", function(r) return r.kernel end, "left" }, { "shape", function(r) return r.shape end }
local function rate(heading, by) return { heading, function(r) return figures.text(r[by]) end } end

list[#list + 1] = {
  name = "kernels", title = "Kernels, decoding",
  says = "One token, all threads, weights from memory: of each instruction set, family and layout the best kernel that "
    .. "is linked. GB/s are packed weights; the share is of what the same threads read doing nothing else, at that "
    .. "time. rows and columns skip half of their weights.",
  runs = function(o) return kernel_runs(o, "kernels", { 1, 2, 2 }, 1, 12) end,
  rows = function(found) return kernel_rows(found, "kernels", "weights") end,
  columns = { KERNEL, SHAPE, rate("GB/s", "gbps"), { "of bandwidth", percent }, rate("10^9 weights/s", "weights") },
  spread = function(row) return { row.weights } end,
  chart = function(rows) return kernel_panel(rows, "Decoding kernels", "10^9 weights/s", "weights") end,
}

list[#list + 1] = {
  name = "batches", title = "Kernels, prompts",
  says = "A batch of 128 tokens, all threads: of each instruction set, family and layout the best kernel that is "
    .. "linked, and its share of what the multipliers reach in registers, at that time.",
  runs = function(o) return kernel_runs(o, "batches", { 2, 3, 3 }, PROMPT, 40) end,
  rows = function(found) return kernel_rows(found, "batches", "operations") end,
  columns = { KERNEL, SHAPE, rate("10^9 operations/s", "operations"), { "of the peak", percent } },
  spread = function(row) return { row.operations } end,
  chart = function(rows) return kernel_panel(rows, "Batches of 128 tokens", "10^9 operations/s", "operations") end,
}

-- -- sweeps ----------------------------------------------------------------------------------------------------

list[#list + 1] = {
  name = "threads", title = "Threads",
  says = "The same model with more and more threads: decoding 32 tokens, and a prompt of 128.",
  runs = function(o)
    return { runs.single(o, "threads", 1, { prompt = { PROMPT }, gen = { 32 }, threads = runs.threads_to(o.cores),
      repetitions = 2 }) }
  end,
  rows = function(found) return show.paired(found("threads"), "threads") end,
  columns = { show.whole("threads", "threads"), show.DECODE, show.SHARE, show.PROMPT },
  chart = function(rows, o)
    return { { kind = "lines", title = "Decoding, " .. o.synth, x = "threads", y = "tokens/s", whole_x = true,
        series = { show.line(rows, "decoding", "threads", "decode") } },
      { kind = "lines", title = "Prompt of 128, " .. o.synth, x = "threads", y = "tokens/s", whole_x = true,
        series = { show.line(rows, "prompt", "threads", "prompt") } } }
  end,
}

list[#list + 1] = {
  name = "prompts", title = "Length of the prompt",
  says = "Tokens of a prompt that are fed at once: the longer it is, the more often each weight that was read is used.",
  runs = function(o)
    return { runs.single(o, "prompts", 1, { prompt = { 1, 4, 16, 64, 256 }, repetitions = 2 }),
      runs.single(o, "prompts-long", 2, { prompt = { 512, 1024, 2048 }, repetitions = 2 }) }
  end,
  rows = function(found)
    return show.append(show.paired(found("prompts"), "tokens"), show.paired(found("prompts-long"), "tokens"))
  end,
  columns = { show.whole("tokens", "tokens"), show.PROMPT },
  chart = function(rows, o)
    return { { kind = "lines", title = ("Prompts, %s, %s"):format(o.synth, on_all(o)), x = "tokens of the prompt",
      y = "tokens/s", log_x = 2, series = { show.line(rows, "prompt", "tokens", "prompt") } } }
  end,
}

list[#list + 1] = {
  name = "depth", title = "Depth of the cache",
  says = "Decoding 16 tokens behind so many that are in the KV cache (F16), and what reading them adds.",
  runs = function(o)
    return { runs.single(o, "depth", 1, { gen = { 16 }, depth = { 0, 256, 512 }, repetitions = 2 }),
      runs.single(o, "depth-long", 2, { gen = { 16 }, depth = { 1024, 2048, 4096 }, repetitions = 2 }) }
  end,
  rows = function(found)
    return show.append(show.paired(found("depth"), "depth"), show.paired(found("depth-long"), "depth"))
  end,
  columns = { show.whole("tokens before", "depth"), show.DECODE, show.SHARE,
    { "of it KV", function(r) return r.decode and figures.percent(r.decode.kv) end } },
  chart = function(rows, o)
    return { { kind = "lines", title = ("Decoding, %s, %s"):format(o.synth, on_all(o)), x = "tokens in the cache",
      y = "tokens/s", series = { show.line(rows, "decoding", "depth", "decode") } } }
  end,
}

-- -- loading ---------------------------------------------------------------------------------------------------

local function loading(o)
  local gguf, packed = o.scratch .. "/load.gguf", o.scratch .. "/load-packed.gguf"
  local function one(label, file, state)
    return runs.turn(o, { label = label, model = file, gen = { 1 }, repetitions = 1, [state] = file })
  end
  return runs.run(o, { id = "load", level = 1, rounds = 3, seconds = 3 + 6 * cost.weights(o.synth),
    prepare = { { makes = gguf, words = { o.tritune, "synth", o.synth, "--out", gguf } },
      { makes = packed, words = { o.tritune, "synth", o.synth, "--type", "tritune", "--out", packed } } },
    turns = { one("GGUF (I2_S), cold", gguf, "forget"), one("GGUF (I2_S), in the page cache", gguf, "cached"),
      one("packed, cold", packed, "forget"), one("packed, in the page cache", packed, "cached") } })
end

local function load_ms(r) return r.facts and r.facts.load_ms end

list[#list + 1] = {
  name = "load", title = "Loading",
  says = "From the start of reading to ready, of a file whose pages were dropped before (cold) or read before (page "
    .. "cache): as GGUF, which is packed while it is loaded, and as this machine's packed file, which is mapped as it "
    .. "is.",
  runs = function(o) return { loading(o) } end,
  rows = function(found) return show.paired(found("load"), "depth") end,
  columns = { { "file", show.label, "left" }, { "load, ms", function(r) return figures.text(load_ms(r)) end },
    show.MEMORY },
  spread = function(row) return { load_ms(row) } end,
  chart = function(rows, o) return { show.bars("Loading, " .. o.synth, "ms", rows, load_ms) } end,
}

return list
