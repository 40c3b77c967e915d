-- samples: what `tritune bench -o json` printed, once or in several rounds, as rows of figures. Knows bench's keys.

local figures = require "tables.figures"

local samples = {}

local function number(v) return type(v) == "number" and v or 0 end

local function positive(v) return type(v) == "number" and v > 0 end

-- Of rows of several rounds the values of one key, lists and numbers alike; others are left out.
local function gathered(rows, key)
  local out = {}
  for _, r in ipairs(rows) do
    for _, x in ipairs(type(r[key]) == "table" and r[key] or { r[key] }) do
      if positive(x) then out[#out + 1] = x end
    end
  end
  return out
end

local function kv_of(bytes)
  if type(bytes) ~= "table" then return nil end
  local kv = number(bytes.kv)
  local all = kv + number(bytes.weights) + number(bytes.head)
  return all > 0 and kv / all or nil
end

local function worst_grade(rows)
  local worst
  for _, r in ipairs(rows) do
    local grade = type(r.noise) == "string" and r.noise:match("^[A-D]$")
    if grade and (not worst or grade > worst) then worst = grade end
  end
  return worst
end

-- The same row of every round as one: prompt, gen, tokens, depth, threads; speed (tokens per second) and load_ms as
-- figures; parameters; rss (bytes); share: of the bandwidth; kv: its share of the bytes; noise: a grade, or nil.
local function row_of(rows)
  local first = rows[1]
  local prompt, gen = number(first.n_prompt), number(first.n_gen)
  local rss = figures.median(gathered(rows, "peak_rss_mib")) or 0
  return { prompt = prompt, gen = gen, tokens = prompt + gen, depth = number(first.n_depth),
    threads = number(first.n_threads), speed = figures.of(gathered(rows, "samples_ts")),
    load_ms = figures.of(gathered(rows, "load_ms")), parameters = number(first.model_n_params), rss = 2 ^ 20 * rss,
    share = figures.median(gathered(rows, "share")), kv = kv_of(first.bytes_per_token), noise = worst_grade(rows) }
end

-- The rows of a kept turn (keep.lua), those of its rounds put together; rows without samples are left out.
function samples.rows(turn)
  local out = {}
  for i in ipairs(turn.rounds and turn.rounds[1] or {}) do
    local rows = {}
    for _, round in ipairs(turn.rounds) do rows[#rows + 1] = round[i] end
    local row = row_of(rows)
    if row.speed then out[#out + 1] = row end
  end
  return out
end

-- Bytes that a refusal for want of memory says a model takes, or nil.
function samples.taken(refusal)
  local mib = tonumber(refusal:match("takes (%d+) MiB"))
  return mib and mib * 2 ^ 20
end

-- Whether a record's notices say that weights were packed to 1.6 bits since two did not fit.
function samples.short_of_memory(record)
  for _, notice in ipairs(record.notices) do
    if notice:find("memory is short", 1, true) then return true end
  end
  return false
end

return samples
