-- figures: what samples say: medians with their spread, and how they are written. Knows no table.

local figures = {}

-- The median of a list of numbers; nil of none.
function figures.median(list)
  if #list == 0 then return nil end
  local sorted = { unpack(list) }
  table.sort(sorted)
  local middle = (#sorted + 1) / 2
  return (sorted[math.floor(middle)] + sorted[math.ceil(middle)]) / 2
end

-- { median, least, greatest, count } of a list of numbers; nil of none.
function figures.of(list)
  if #list == 0 then return nil end
  local f = { median = figures.median(list), least = math.huge, greatest = -math.huge, count = #list }
  for _, x in ipairs(list) do f.least, f.greatest = math.min(f.least, x), math.max(f.greatest, x) end
  return f
end

-- Half of what lies between the extremes, in parts of the median: 0 for a single sample.
function figures.noise(f) return (f.greatest - f.least) / 2 / f.median end

-- Three digits that count, and no more decimals than those need: 0.568, 37.7, 3471.
function figures.number(x)
  if not x then return "" end
  local size = math.abs(x)
  return (size >= 99.95 and "%.0f" or size >= 9.995 and "%.1f" or size >= 0.9995 and "%.2f" or "%.3f"):format(x)
end

-- "37.7 (37.1 to 38.0)"; a single sample has no spread.
function figures.text(f)
  if not f then return "" end
  if f.count < 2 then return figures.number(f.median) end
  return ("%s (%s to %s)"):format(figures.number(f.median), figures.number(f.least), figures.number(f.greatest))
end

-- "85 %"; nothing where there is no figure.
function figures.percent(x) return x and ("%.0f %%"):format(100 * x) or "" end

local function gib(bytes) return ("%s GiB"):format(figures.number(bytes / 2 ^ 30)) end

-- "1.10 GiB", below half of that "245 MiB".
function figures.bytes(bytes)
  if not bytes then return "" end
  return bytes >= 2 ^ 29 and gib(bytes) or ("%.0f MiB"):format(bytes / 2 ^ 20)
end

return figures
