-- write: the tables of what was measured, as files: tables.md, readme.md and a chart for each, whole or not at all.

local linux = require "linux"
local host = require "host"
local show = require "tables.show"
local page = require "tables.page"
local chart = require "tables.chart"

local write = {}

local function put(path, text)
  local ok, why = linux.replace(path, text)
  if not ok then error(("%s; choose another folder with --results"):format(why), 0) end
end

-- -- what a page says of a table --------------------------------------------------------------------------------

local function runs_of(o, t)
  local runs = {}
  for _, run in ipairs(o.plan) do if run.table == t.name then runs[#runs + 1] = run end end
  return runs
end

-- A table's records in the order of its runs, which of them are of other programs, and which runs are missing.
local function gather(o, t)
  local x = { title = t.title, says = t.says, columns = t.columns, notes = {}, records = {}, outdated = {},
    missing = {}, spread = t.spread or show.speeds }
  local seen = {}
  for _, run in ipairs(runs_of(o, t)) do
    local record = o.found[run.id]
    if record and not seen[run.id] then
      x.records[#x.records + 1], seen[run.id] = record, true
      x.outdated[run.id] = record.program ~= o.here.programs[run.program]
    end
    if run.state ~= "kept" and run.state ~= "measured" then
      x.missing[#x.missing + 1] = { id = run.id .. (run.rounds > 1 and (" in %d rounds"):format(run.rounds) or ""),
        why = run.why or "interrupted", seconds = run.would }
    end
  end
  for _, record in ipairs(x.records) do
    for _, notice in ipairs(record.notices) do x.notes[#x.notes + 1] = ("%s: %s"):format(record.id, notice) end
  end
  x.rows = t.rows(function(id) return o.found[id] end, o.settings)
  return x
end

-- -- charts -------------------------------------------------------------------------------------------------------

-- Draws a table's chart into the folder: nil, or why there is none.
local function draw(o, t, x)
  local script = #x.rows > 0 and chart.script(t.chart(x.rows, o.settings))
  if not script then return nil end
  local svg, why = chart.svg(script, o.settings.scratch .. "/chart", o.gnuplot)
  if not svg then return why end
  x.chart = t.name .. ".svg"
  put(o.folder .. "/" .. x.chart, svg)
end

local function draw_all(o, list)
  local told = {}
  for i, x in ipairs(list) do
    local why = draw(o, o.tables[i], x)
    if why and not told[why] then o.say("%s", why) end
    told[why or ""] = true
  end
end

-- -- all of it ----------------------------------------------------------------------------------------------------

local function about_of(o)
  local f = o.facts
  return { cpu = o.here.machine, command = "cmake --build build --target tables",
    machine = ("%s, %d core%s, %s, Linux %s, %s"):format(o.here.machine, f.cores, f.cores == 1 and "" or "s",
      f.memory or "memory not known", f.kernel or "not known", host.compiler() or "no compiler") }
end

local function into_readme(o, body)
  local path = o.root .. "README.md"
  local text, why = linux.read(path)
  if text then text, why = page.placed(text, body) end
  if not text then error(("%s: %s"):format(path, why), 0) end
  put(path, text)
end

-- o: tables, settings, plan, found (of collect.all), folder, facts (machine.facts), root, here, readme, say; gnuplot (a
-- program's name, or nil). True, if any run failed for a reason of its own.
function write.all(o)
  local list, failed = {}, false
  for i, t in ipairs(o.tables) do list[i] = gather(o, t) end
  for _, run in ipairs(o.plan) do failed = failed or run.state == "failed" end
  draw_all(o, list)
  local about = about_of(o)
  put(o.folder .. "/tables.md", page.text(list, about))
  if list[1] and #list[1].rows > 0 then
    local body = page.short(list[1], about, "results/" .. o.folder:match("[^/]*$"))
    put(o.folder .. "/readme.md", body)
    if o.readme then into_readme(o, body) end
  end
  o.say("%s is written", o.folder .. "/tables.md")
  return failed
end

return write
