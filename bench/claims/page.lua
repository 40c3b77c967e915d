-- page: the claims as a page of Markdown.

local sizes = require "sizes"
local list = require "claims.list"

local head = [[
# Claims

What is said in public of ternary models on CPUs, what arithmetic allows, what was measured or is predicted here, and
the verdict. Here: %s. The 3B is bitnet_b1_58-3B, %.2f billion ternary weights. Made by `luajit bench/claims.lua`.

| said | by arithmetic | here | verdict |
| --- | --- | --- | --- |
]]

local function cell(text) return (text:gsub("|", "\\|"):gsub("%s+", " ")) end

-- c: of facts.lua; cpu: this machine's name.
return function(c, cpu)
  local lines = { (head:format(cell(cpu), sizes.ternary(c.shapes["3b"]) / 1e9)) }
  local sources = {}
  for _, entry in ipairs(list) do
    lines[#lines + 1] = ("| %s | %s | %s | %s |\n"):format(cell(entry.said), cell(entry.bound(c)), cell(entry.here(c)),
      cell(entry.verdict(c)))
    if entry.source then sources[#sources + 1] = entry.machine .. ": " .. entry.source .. "\n" end
  end
  lines[#lines + 1] = "\nBandwidths of machines that are not here:\n\n- " .. table.concat(sources, "- ")
  return table.concat(lines)
end
