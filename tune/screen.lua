-- screen: what a person sees: one status line on a terminal, plain lines elsewhere (both on stderr), and the
-- table of choices at the end (on stdout).

local linux = require "linux"

local screen = {}

local ERRORS = 2

function screen.new(quiet)
  return { quiet = quiet, terminal = not quiet and linux.is_terminal(ERRORS), shown = false, last = 0 }
end

local function wipe(s)
  if s.shown then io.stderr:write("\r\27[K") end
  s.shown = false
end

-- A line that stays.
function screen.line(s, format, ...)
  if s.quiet then return end
  wipe(s)
  io.stderr:write(format:format(...), "\n")
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

local function margin_of(k)
  if not k.runner_up then return "" end
  local why = k.margin >= 0 and "" or k.margin > -0.01 and ", not simpler" or ", slower prompts"
  return ("%s (%+.1f%%%s)"):format(k.runner_up, 100 * k.margin, why)
end

-- The jobs' winners, aligned.
function screen.table(jobs)
  local rows = { { "job", "kernel", "GB/s", "share", "gain", "prompt", "runner-up" } }
  for _, job in ipairs(jobs) do
    local k = job.kernels[1]
    rows[#rows + 1] = { ("%s %dx%d"):format(job.role, job.m, job.k), k.name, ("%.1f"):format(k.gbps),
      ("%.0f%%"):format(100 * k.share), job.gain and ("%.2fx"):format(job.gain) or "",
      job.prompt_gain and ("%.2fx"):format(job.prompt_gain) or "",
      margin_of(k) .. (k.unconfirmed and "  unconfirmed" or "") }
  end
  local width = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do width[i] = math.max(width[i] or 0, #cell) end
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      local numeric = i >= 3 and i <= 6
      cells[i] = (numeric and "%" .. width[i] .. "s" or "%-" .. width[i] .. "s"):format(cell)
    end
    io.stdout:write((table.concat(cells, "  "):gsub("%s+$", "")), "\n")
  end
end

return screen
