-- chart: panels of lines or bars as an SVG, by gnuplot: small, without date, the same bytes for the same figures and
-- the same gnuplot. Leaves out what is drawn (list.lua).
--
-- A panel: title; kind "lines": x and y (what the axes are, with units), series = { title, points = { x, y } }, log_x
-- (a base), log_y, whole_x; kind "bars": y, bars = { label, y }. y of a point or bar: figures.

local linux = require "linux"
local figures = require "tables.figures"

local chart = {}

local WIDTH, HEIGHT, BAR = 720, 360, 26 -- pixels: of one panel of lines; what a bar adds to a panel of bars

local colours = { "#1f5fa8", "#d1662a", "#3a8a4d", "#8455a3" }

local start = [[
set encoding utf8
set terminal svg size %d,%d noenhanced font "sans-serif,13" background "white" linewidth 1.2
set style line 100 lc rgb "#dddddd" lw 0.8
set grid back ls 100
set border 3 lc rgb "#666666"
set tics nomirror
set key top right opaque noautotitle spacing 1.2
]]

local function quoted(text) return '"' .. text:gsub('[\\"]', "\\%0"):gsub("[%c]", " ") .. '"' end

-- Whether anything can be drawn: points of one value are a line all the same.
local function drawn(panel)
  if panel.kind == "bars" then return #panel.bars > 0 end
  for _, s in ipairs(panel.series) do if #s.points > 0 then return true end end
  return false
end

local function data(name, lines) return ("$%s << END\n%s\nEND\n"):format(name, table.concat(lines, "\n")) end

local function greatest(panel)
  local most = 0
  for _, s in ipairs(panel.series or { { points = panel.bars } }) do
    for _, p in ipairs(s.points) do most = math.max(most, p.y.greatest) end
  end
  return most
end

-- -- lines ---------------------------------------------------------------------------------------------------

local plain_axes = [[
unset logscale
set format "%g"
set xtics auto
set ytics auto
]]

local decades = "set xtics (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)\n"

-- A little more than the values of x: so that points stand free, and 0 is the axis.
local function range_x(panel)
  local least, most = math.huge, -math.huge
  for _, s in ipairs(panel.series) do
    for _, p in ipairs(s.points) do least, most = math.min(least, p.x), math.max(most, p.x) end
  end
  if panel.whole_x then return least - 0.5, most + 0.5 end
  if panel.log_x then return least / 1.2, most * 1.2 end
  return math.min(least, 0), most > 0 and most * 1.05 or 1
end

local function axes(panel)
  local lines = { ("set title %s\nset xlabel %s\nset ylabel %s\n"):format(quoted(panel.title), quoted(panel.x),
    quoted(panel.y)), plain_axes, ("set xrange [%.6g:%.6g]\n"):format(range_x(panel)) }
  if panel.log_x then lines[#lines + 1] = ("set logscale x %d\n"):format(panel.log_x) end
  local range = ("set yrange [0:%.6g]\n"):format(1.15 * greatest(panel))
  lines[#lines + 1] = panel.log_y and "set logscale y 10\nset autoscale y\n" or range
  if panel.whole_x then lines[#lines + 1] = "set xtics 1\n" end
  if panel.log_x == 10 then lines[#lines + 1] = decades end
  return table.concat(lines)
end

local one_line = '$%s using 1:2:3:4 with yerrorbars lc rgb "%s" pt 7 ps 0.2, '
  .. '$%s using 1:2 with linespoints lc rgb "%s" lw 2 pt 7 ps 0.6%s'

local function plot_lines(panel, n)
  local blocks, plots = {}, {}
  for i, s in ipairs(panel.series) do
    local points = {}
    for j, p in ipairs(s.points) do
      points[j] = ("%.6g %.6g %.6g %.6g"):format(p.x, p.y.median, p.y.least, p.y.greatest)
    end
    if #points > 0 then
      local block = ("d%d_%d"):format(n, i)
      blocks[#blocks + 1] = data(block, points)
      local title = #panel.series > 1 and " title " .. quoted(s.title) or ""
      plots[#plots + 1] = one_line:format(block, colours[i], block, colours[i], title)
    end
  end
  return table.concat(blocks) .. axes(panel) .. "plot " .. table.concat(plots, ", ") .. "\n"
end

-- -- bars ----------------------------------------------------------------------------------------------------

local bar_plot = [[
set title %s
set xlabel %s
unset ylabel
unset logscale
set xtics auto
set grid noytics
set lmargin %d
set bmargin 3.4
set ytics (%s) scale 0
set yrange [-0.6:%.1f]
set xrange [0:%.6g]
plot $%s using (0):1:(0):2:($1-0.3):($1+0.3) with boxxyerror fs solid 0.85 noborder lc rgb "%s", \
     $%s using 2:1:3:4 with xerrorbars lc rgb "#333333" pt 7 ps 0.2, \
     $%s using 4:1:5 with labels left offset 0.8,0
]]

-- Bars lie, so that labels of any length are read without turning one's head; the first is on top.
local function plot_bars(panel, n)
  local points, labels, most, longest = {}, {}, greatest(panel), 0
  for i, b in ipairs(panel.bars) do
    local at = #panel.bars - i
    points[i] = ("%d %.6g %.6g %.6g %s"):format(at, b.y.median, b.y.least, b.y.greatest,
      quoted(figures.number(b.y.median)))
    labels[i], longest = ("%s %d"):format(quoted(b.label), at), math.max(longest, #b.label)
  end
  local block = ("d%d"):format(n)
  return data(block, points) .. bar_plot:format(quoted(panel.title), quoted(panel.y), longest + 3,
    table.concat(labels, ", "), #panel.bars - 0.4, 1.18 * most, block, colours[1], block, block)
end

local kinds = { lines = plot_lines, bars = plot_bars }

-- -- all of it -------------------------------------------------------------------------------------------------

local function height(panel)
  return panel.kind == "bars" and 110 + BAR * #panel.bars or HEIGHT
end

-- What gnuplot is to do, or nil if there is nothing to draw. Panels of lines stand side by side, those of bars one
-- below the other.
function chart.script(panels)
  local list, total = {}, 0
  for _, p in ipairs(panels) do
    if drawn(p) then
      list[#list + 1] = p
      total = total + height(p)
    end
  end
  if #list == 0 then return nil end
  local beside = list[1].kind == "lines"
  local parts = { start:format(WIDTH, beside and HEIGHT or total), "set multiplot\n" }
  local at = total
  for i, p in ipairs(list) do
    at = at - height(p)
    local x, y = beside and (i - 1) / #list or 0, beside and 0 or at / total
    parts[#parts + 1] = ("set origin %.6g,%.6g\nset size %.6g,%.6g\n"):format(x, y, beside and 1 / #list or 1,
      beside and 1 or height(p) / total)
    parts[#parts + 1] = kinds[p.kind](p, i)
  end
  parts[#parts + 1] = "unset multiplot\nexit\n"
  return table.concat(parts)
end

chart.absent = "gnuplot is missing, so no charts are drawn: apt install gnuplot-nox"

-- The SVG of a script, by way of a file at `path`, which is gone afterwards; nil and why. chart.absent: no gnuplot.
function chart.svg(script, path, gnuplot)
  local ok, why = linux.replace(path, script)
  if not ok then return nil, why end
  local child, deadline = linux.spawn { gnuplot or "gnuplot", path }, linux.now() + 30
  while not child.ended and linux.now() < deadline do linux.wait({ child }, deadline) end
  local kind, number = linux.reap(child, not child.ended)
  os.remove(path)
  if kind == "exit" and number == 127 then return nil, chart.absent end
  if kind ~= "exit" or number ~= 0 or not child.text:find("</svg>%s*$") then
    return nil, ("gnuplot failed (%s %d)"):format(kind, number)
  end
  return child.text
end

return chart
