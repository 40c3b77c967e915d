-- page: Markdown of the tables: each with its chart, machine, date, commit, commands and noise, and with what was not
-- measured. The same records make the same bytes.

local figures = require "tables.figures"

local page = {}

local function cell(text) return (tostring(text or ""):gsub("[|\n]", " ")) end

-- columns: { heading, of a row its text[, "left"] }.
function page.table(columns, rows)
  local lines, heads, rules = {}, {}, {}
  for i, c in ipairs(columns) do
    heads[i], rules[i] = cell(c[1]), c[3] == "left" and "---" or "---:"
  end
  lines[1], lines[2] = heads, rules
  for _, r in ipairs(rows) do
    local cells = {}
    for i, c in ipairs(columns) do cells[i] = cell(c[2](r)) end
    lines[#lines + 1] = cells
  end
  for i, cells in ipairs(lines) do lines[i] = "| " .. table.concat(cells, " | ") .. " |\n" end
  return table.concat(lines)
end

-- -- where figures come from ------------------------------------------------------------------------------------

-- Distinct values in the order in which they come first.
local function distinct(list)
  local out, seen = {}, {}
  for _, v in ipairs(list) do
    if not seen[v] then out[#out + 1], seen[v] = v, true end
  end
  return out
end

local function dates(records)
  local days = {}
  for i, r in ipairs(records) do days[i] = r.at:sub(1, 10) end
  table.sort(days)
  return days[1] == days[#days] and days[1] or days[1] .. " to " .. days[#days]
end

-- The median and greatest half of spread of a table's figures, and the worst grade where bench gave any.
local function noise(t)
  local list, grade = {}, nil
  for _, row in ipairs(t.rows) do
    for _, f in ipairs(t.spread(row)) do
      if f.count > 1 then list[#list + 1] = figures.noise(f) end
    end
    for _, r in pairs { row.decode, row.prompt } do
      if r.noise and (not grade or r.noise > grade) then grade = r.noise end
    end
  end
  local f = figures.of(list)
  if not f then return "one sample each, so that noise is not known" end
  return ("half of the spread is %.1f %% (median) to %.1f %%%s"):format(100 * f.median, 100 * f.greatest,
    grade and "; noise grade " .. grade or "")
end

local function commands(records)
  local all = {}
  for _, r in ipairs(records) do
    for _, text in ipairs(r.command) do all[#all + 1] = text end
  end
  return distinct(all)
end

local function commits(records)
  local all = {}
  for i, r in ipairs(records) do all[i] = r.commit end
  return table.concat(distinct(all), ", ")
end

local function origin(t, about)
  return ("%s. %s; commit %s. Noise: %s.\n\n```\n%s\n```\n"):format(about.machine, dates(t.records),
    commits(t.records), noise(t), table.concat(commands(t.records), "\n"))
end

-- Records that a newer build would measure anew.
local function outdated(t)
  local ids = {}
  for _, r in ipairs(t.records) do if t.outdated[r.id] then ids[#ids + 1] = r.id end end
  if #ids == 0 then return "" end
  return ("\nOf an earlier build, not measured again yet: %s.\n"):format(table.concat(ids, ", "))
end

-- A line for each reason.
local function missing(t)
  local reasons, of = {}, {}
  for _, m in ipairs(t.missing) do
    if not of[m.why] then of[m.why], reasons[#reasons + 1] = {}, m.why end
    table.insert(of[m.why], m.id .. (m.seconds and (" (about %.0f s)"):format(m.seconds) or ""))
  end
  for i, why in ipairs(reasons) do
    reasons[i] = ("\nNot measured (%s): %s.\n"):format(cell(why), table.concat(of[why], ", "))
  end
  return table.concat(reasons)
end

local function section(t, about)
  local body = t.says .. "\n"
  if t.chart then body = body .. ("\n![%s](%s)\n"):format(t.title, t.chart) end
  if #t.rows > 0 then body = body .. "\n" .. page.table(t.columns, t.rows) .. "\n" .. origin(t, about) end
  for _, note in ipairs(t.notes) do body = body .. "\n" .. note .. "\n" end
  return ("## %s\n\n%s%s%s"):format(t.title, body, outdated(t), missing(t))
end

-- tables: title, says, columns, rows, spread (of a row its figures), records, chart (a file's name, or nil), notes,
-- outdated (by id), missing (id, why, seconds it would take or nil). about: cpu, machine (a line about it), command
-- (what makes all this).
function page.text(tables, about)
  local parts = { ("# Measured on %s\n\nMade by `%s`. Figures are medians, with the least and the greatest sample in "
    .. "brackets; samples and receipts lie in `bench/`. Sizes are in memory, GiB are 2^30 bytes.\n"):format(about.cpu,
    about.command) }
  for _, t in ipairs(tables) do parts[#parts + 1] = section(t, about) end
  return table.concat(parts, "\n")
end

-- The main table alone, short, for README.md; folder: where its chart lies, seen from there.
function page.short(t, about, folder)
  local body = page.table(t.columns, t.rows)
  if t.chart then body = ("![%s](%s/%s)\n\n"):format(t.title, folder, t.chart) .. body end
  return ("%s\n%s. %s; commit %s. More tables: [%s/tables.md](%s/tables.md); `%s` makes them here.\n"):format(body,
    about.machine, dates(t.records), commits(t.records), folder, folder, about.command)
end

local BEGIN, END = "<!-- tables -->", "<!-- /tables -->"

-- `text` with `body` between the two marks; nil and why, if they are not there once each, in this order.
function page.placed(text, body)
  local from, to = text:find(BEGIN, 1, true)
  local last = to and text:find(END, to, true)
  if not last or text:find(BEGIN, to, true) or text:find(END, last + 1, true) then
    return nil, ("expected one line '%s' and behind it one '%s'"):format(BEGIN, END)
  end
  return text:sub(1, from - 1) .. BEGIN .. "\n" .. body .. text:sub(last)
end

return page
