-- facts: what claims are judged by: shapes, the embedded model's trits, what kernels' hot loops are made of, rows that
-- were measured on this machine, figures of others, ceilings that `tritune roofline` predicts. Runs programs of this
-- project; measures nothing itself.

local cjson = require "cjson"
local host = require "host"
local linux = require "linux"
local figures = require "tables.figures"
local space = require "space"
local name = require "name"
local sizes = require "sizes"

local facts = {}

local function output(...)
  local words = {}
  for i, word in ipairs { ... } do words[i] = host.quote(word) end
  local pipe = io.popen(table.concat(words, " ") .. " 2>/dev/null")
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local function decoded(text)
  local ok, value = pcall(cjson.decode, text or "")
  return ok and type(value) == "table" and value or nil
end

-- Paths of the JSON files of a folder, in order; {} if there is none.
local function files(folder)
  local list = {}
  for path in output("find", folder, "-maxdepth", "1", "-name", "*.json"):gmatch("[^\n]+") do list[#list + 1] = path end
  table.sort(list)
  return list
end

-- -- rows that were measured -------------------------------------------------------------------------------------

local function numbers(list)
  local out = {}
  for _, n in ipairs(type(list) == "table" and list or {}) do
    if type(n) == "number" and n > 0 then out[#out + 1] = n end
  end
  return out
end

local function number(n) return type(n) == "number" and n or 0 end

-- Every row of `tritune bench -o json` that a value holds at any depth, with the file's name and the nearest label.
local function gather(value, id, label, rows)
  if type(value) ~= "table" then return end
  label = type(value.label) == "string" and value.label or label
  local samples = numbers(value.samples_ts)
  if #samples > 0 and type(value.model_type) == "string" then
    rows[#rows + 1] = { id = id, label = label, type = value.model_type, prompt = number(value.n_prompt),
      gen = number(value.n_gen), depth = number(value.n_depth), threads = number(value.n_threads),
      ts = figures.median(samples), rss = number(value.peak_rss_mib) * 2 ^ 20, bytes = number(value.model_size),
      share = type(value.share) == "number" and value.share or nil }
    return
  end
  for i in ipairs(value) do gather(value[i], id, label, rows) end
  for _, key in ipairs { "turns", "rounds", "rows" } do gather(value[key], id, label, rows) end
end

-- All such rows below a machine's folder of results.
function facts.rows(folder)
  local rows = {}
  for _, path in ipairs(files(folder .. "/bench")) do
    gather(decoded(linux.read(path)), path:match("([^/]+)%.json$"), nil, rows)
  end
  return rows
end

-- The fastest row whose fields are as `wanted` says (type: a part of model_type); nil if there is none.
function facts.row(rows, wanted)
  local best
  for _, r in ipairs(rows) do
    local fits = r.depth == 0
    for key, value in pairs(wanted) do
      if key == "size" then fits = fits and r.type:match("synthetic (%S+)$") == value
      elseif key == "decode" then fits = fits and (r.gen > 0 and r.prompt == 0) == value
      else fits = fits and r[key] == value end
    end
    if fits and (not best or r.ts > best.ts) then best = r end
  end
  return best
end

-- -- the rest ----------------------------------------------------------------------------------------------------

-- { zeros, entropy } of all ternary weights of a model file, by `tritune inspect`; nil if it cannot be run.
function facts.trits(tritune, model)
  local d = decoded(output(tritune, "inspect", model, "--json"))
  local zero, all, bits = 0, 0, 0
  for _, t in ipairs(d and d.tensors or {}) do
    if type(t.trits) == "table" then
      local n = t.trits.minus + t.trits.zero + t.trits.plus
      zero, all, bits = zero + t.trits.zero, all + n, bits + n * t.entropy
    end
  end
  return all > 0 and { zeros = zero / all, entropy = bits / all } or nil
end

-- What bench/predict.lua counts in hot loops: of the named kernels, or if there are none of every ISA's default one.
function facts.loops(o, names)
  return decoded(output(o.lua, o.root .. "bench/predict.lua", "--json", unpack(names))) or {}
end

function facts.published(root)
  local list = {}
  for _, path in ipairs(files(root .. "results/published")) do list[#list + 1] = decoded(linux.read(path)) end
  return list
end

-- The fastest decoding that others published of a size on a CPU, at most so many threads: row and file; nil if none.
function facts.fastest(published, cpu, size, threads)
  local best, of
  for _, file in ipairs(published) do
    for _, row in ipairs(file.cpu == cpu and file.rows or {}) do
      if row.model == size and row.test:find("^tg") and row.threads <= (threads or math.huge) and
        (not best or row.ts > best.ts) then
        best, of = row, file
      end
    end
  end
  return best, of
end

-- Tokens per second of decoding after nothing that `tritune roofline` predicts for a bandwidth in GB/s; nil if it
-- cannot be run, or does not know.
function facts.ceiling(tritune, size, gbps)
  local d = decoded(output(tritune, "roofline", "--synth", size, "--bandwidth", ("%g"):format(gbps), "--json"))
  for _, roof in ipairs(d and d.roofs or {}) do
    if roof.predicted == true and number(roof.n_gen) > 0 and number(roof.n_depth) == 0 then
      return number(roof.ceiling_ts) > 0 and roof.ceiling_ts or nil
    end
  end
end

-- The kernels of lookups that run untuned, one for each ISA that has any.
local function lookups()
  local names = {}
  for _, isa in ipairs(space.isas()) do
    local point = space.defaults("lut", isa)[1]
    names[#names + 1] = point and name.of(point) or nil
  end
  return names
end

-- Most sums that an instruction of any ISA looks up in a register.
local function entries()
  local most = 0
  for _, isa_name in ipairs(space.isas()) do
    local isa = space.isa(isa_name)
    for _, key in ipairs { "table_entries", "wide_entries", "word_entries" } do most = math.max(most, isa[key] or 0) end
  end
  return most
end

-- o: root, lua, tritune, folder (this machine's results). What list.lua asks.
function facts.all(o)
  return { shapes = sizes.read(o.root), trits = facts.trits(o.tritune, o.root .. "tests/model/tiny-tales-i2_s.gguf"),
    loops = facts.loops(o, {}), lookups = facts.loops(o, lookups()), codes = space.family("lut").codes,
    entries = entries(), rows = facts.rows(o.folder), published = facts.published(o.root),
    ceiling = function(size, gbps) return facts.ceiling(o.tritune, size, gbps) end }
end

return facts
