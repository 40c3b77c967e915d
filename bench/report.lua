-- report: the rows of ceiling.lua as JSON, or as a table for people.

local json = require "cjson"

local report = {}

function report.json(rows)
  local lines = {}
  for i, r in ipairs(rows) do
    lines[i] = ('{"row":%s,"shape":%s,"threads":%d,"kernel":%s,"value":%.4f,"baseline":%.4f}'):format(
      json.encode(r.row), json.encode(r.shape), r.threads, json.encode(r.kernel), r.value, r.baseline)
  end
  return "[" .. table.concat(lines, ",\n ") .. "]\n"
end

local numeric = { [3] = true, [4] = true, [5] = true }

function report.text(rows)
  local lines, width = { { "row", "shape", "threads", "value", "baseline", "of", "kernel" } }, {}
  for _, r in ipairs(rows) do
    lines[#lines + 1] = { r.row, r.shape, ("%d"):format(r.threads), ("%.3f"):format(r.value),
      ("%.1f"):format(r.baseline), r.unit, r.kernel }
  end
  for _, line in ipairs(lines) do
    for i, cell in ipairs(line) do width[i] = math.max(width[i] or 0, #cell) end
  end
  local out = {}
  for n, line in ipairs(lines) do
    local cells = {}
    for i, cell in ipairs(line) do
      local gap = (" "):rep(width[i] - #cell) -- string.format pads to 99 at most, and this may be more
      cells[i] = numeric[i] and gap .. cell or cell .. gap
    end
    out[n] = table.concat(cells, "  "):gsub("%s+$", "") .. "\n"
  end
  return table.concat(out)
end

return report
