-- screen: what a person sees: one status line on a terminal, plain lines elsewhere (both on stderr), and the
-- table of choices at the end (on stdout).

local linux = require "linux"
local state = require "state"
local dispatch = require "dispatch"

local screen = {}

local ERRORS = 2

function screen.new(quiet)
  return { quiet = quiet, terminal = not quiet and linux.is_terminal(ERRORS), shown = false, last = 0 }
end

local function wipe(s)
  if s.shown then io.stderr:write("\r\27[K") end
  s.shown = false
end

-- `head` and text, broken at spaces so that no line is longer than `width`; later lines are indented as far as `head`
-- reaches, or by two.
function screen.wrapped(head, text, width)
  local lines, line, indent = {}, head, #head > 0 and #head or 2
  for word in text:gmatch("%S+") do
    local blank = #line > #head and " " or ""
    if blank ~= "" and #line + 1 + #word > width then
      lines[#lines + 1], line, blank = line, (" "):rep(indent), ""
    end
    line = line .. blank .. word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

-- How many columns a stream has; many, if nobody looks at it there.
function screen.width(stream)
  local wanted = tonumber(os.getenv("COLUMNS") or "")
  if linux.is_terminal(stream) then return linux.columns(stream) end
  return wanted and wanted >= 20 and wanted or math.huge
end

-- A line that stays, broken where the terminal ends.
function screen.line(s, format, ...)
  if s.quiet then return end
  wipe(s)
  local text, width = format:format(...), screen.width(ERRORS)
  io.stderr:write(#text > width and screen.wrapped("", text, width) or text, "\n")
end

-- A line that stays even when quiet: errors and notices.
function screen.notice(s, format, ...)
  wipe(s)
  io.stderr:write("tune: ", format:format(...), "\n")
end

-- The status, a few times a second at most.
function screen.status(s, parts)
  local now = linux.now()
  if not s.terminal or now - s.last < 0.1 then return end
  s.last, s.shown = now, true
  io.stderr:write("\r\27[K", table.concat(parts, "  "):sub(1, linux.columns(ERRORS) - 1))
end

function screen.close(s) wipe(s) end

-- -- the table ---------------------------------------------------------------------------------------------

local function margin_of(k)
  if not k.runner_up then return "" end
  local why = k.margin >= 0 and "" or k.margin > -0.01 and ", not simpler" or ", slower prompts"
  return ("%s (%+.1f%%%s)"):format(k.runner_up, 100 * k.margin, why)
end

-- How sure the choice is of being faster than the runner-up, where that is why it was chosen; * if the machine's state
-- was bad.
local function sure_of(job, k)
  local sure = k.confidence and k.margin >= 0 and ("%.0f%%"):format(100 * k.confidence) or ""
  return sure .. (state.bad(job.state) and "*" or "")
end

local columns = { "job", "kernel", "GB/s", "share", "gain", "prompt", "sure", "runner-up" }
local numeric = { ["GB/s"] = true, share = true, gain = true, prompt = true, sure = true }

local function cells_of(job)
  local k = job.kernels[1]
  return { dispatch.key(job), k.name, ("%.1f"):format(k.gbps),
    ("%.0f%%"):format(100 * k.share), job.gain and ("%.2fx"):format(job.gain) or "",
    job.prompt_gain and ("%.2fx"):format(job.prompt_gain) or "",
    sure_of(job, k), margin_of(k) .. (k.unconfirmed and "  unconfirmed" or "") }
end

local function widths(rows)
  local width, sum = {}, -2
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do width[i] = math.max(width[i] or 0, #cell) end
  end
  for _, w in ipairs(width) do sum = sum + w + 2 end
  return width, sum
end

local function aligned(rows, width)
  local lines = {}
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      cells[i] = ((numeric[rows[1][i]] and "%" or "%-") .. width[i] .. "s"):format(cell)
    end
    lines[#lines + 1] = (table.concat(cells, "  "):gsub("%s+$", "")) .. "\n"
  end
  return table.concat(lines)
end

-- One job as a few short lines: what a narrow terminal shows.
local function block(row, most)
  local facts = {}
  for i = 3, #row do
    if row[i] ~= "" then
      facts[#facts + 1] = i == 3 and row[i] .. " GB/s" or columns[i] .. " " .. row[i]
    end
  end
  return ("%s\n  %s\n%s\n"):format(row[1], row[2], screen.wrapped("  ", table.concat(facts, ", "), most))
end

-- The jobs' winners as text of at most `most` columns: aligned; if that is too wide without the runners-up; if that is
-- still too wide one below the other. GB/s and share are of packed weights; sure: confidence.
function screen.text(jobs, most)
  local rows, short = { columns }, {}
  for _, job in ipairs(jobs) do rows[#rows + 1] = cells_of(job) end
  local width, sum = widths(rows)
  if sum <= most then return aligned(rows, width) end
  for i, row in ipairs(rows) do short[i] = { unpack(row, 1, #row - 1) } end
  width, sum = widths(short)
  if sum <= most then return aligned(short, width) end
  local blocks = {}
  for i = 2, #rows do blocks[#blocks + 1] = block(rows[i], most) end
  return table.concat(blocks)
end

local OUTPUT = 1

function screen.table(jobs) io.stdout:write(screen.text(jobs, screen.width(OUTPUT))) end

return screen
