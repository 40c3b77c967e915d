-- show: what several tables have in common: how rows come of records, their columns, and their panels (chart.lua).

local figures = require "tables.figures"
local samples = require "tables.samples"

local show = {}

-- -- rows ------------------------------------------------------------------------------------------------------

-- Rows of all turns of a record (or nil), in pairs of what decoding and prompts reached, by whatever `key` of a row
-- says: { label, [key], decode, prompt, facts (either), refused, record }.
function show.paired(record, key)
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

-- `rows` with more of them at the end.
function show.append(rows, more)
  for _, r in ipairs(more) do rows[#rows + 1] = r end
  return rows
end

-- Gives each row decode_factor and prompt_factor: how many times as fast it is as the row labelled `base`.
function show.factors(rows, base)
  for _, phase in ipairs { "decode", "prompt" } do
    local one
    for _, r in ipairs(rows) do if r.label == base and r[phase] then one = r[phase].speed.median end end
    for _, r in ipairs(rows) do
      if one and r[phase] then r[phase .. "_factor"] = r[phase].speed.median / one end
    end
  end
  return rows
end

-- A row's figures.
function show.speeds(row)
  local list = {}
  for _, phase in ipairs { "decode", "prompt" } do
    if row[phase] then list[#list + 1] = row[phase].speed end
  end
  return list
end

-- -- columns ---------------------------------------------------------------------------------------------------

function show.label(r) return r.label end

local function speed(field)
  return function(r) return r[field] and figures.text(r[field].speed) or r.refused and "does not fit" or "" end
end

local function memory(r)
  if r.refused then return "takes " .. figures.bytes(samples.taken(r.refused)) end
  return r.facts and figures.bytes(r.facts.rss) or ""
end

show.DECODE, show.PROMPT = { "decode, t/s", speed "decode" }, { "prompt, t/s", speed "prompt" }
show.MEMORY = { "memory", memory }
show.SHARE = { "of read bandwidth", function(r) return r.decode and figures.percent(r.decode.share) end }

-- A column of a whole number.
function show.whole(heading, field)
  return { heading, function(r) return r[field] and ("%d"):format(r[field]) or "" end }
end

function show.factor(heading, phase)
  return { heading, function(r) return figures.number(r[phase .. "_factor"]) end }
end

-- -- panels ----------------------------------------------------------------------------------------------------

-- A line of points: x by a field of the row or a function, y the figures of decode or prompt.
function show.line(rows, title, x, phase)
  local points = {}
  for _, r in ipairs(rows) do
    if r[phase] then points[#points + 1] = { x = type(x) == "function" and x(r) or r[x], y = r[phase].speed } end
  end
  return { title = title, points = points }
end

-- A panel of bars; value: figures of a row, or nil.
function show.bars(title, y, rows, value)
  local list = {}
  for _, r in ipairs(rows) do
    local f = value(r)
    if f then list[#list + 1] = { label = r.label, y = f } end
  end
  return { kind = "bars", title = title, y = y, bars = list }
end

function show.decoded(r) return r.decode and r.decode.speed end
function show.prompted(r) return r.prompt and r.prompt.speed end

return show
