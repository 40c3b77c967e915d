-- tidy: indents generated C by its braces, so that templates may nest as their Lua does. Four spaces a level; an
-- unbraced body and a parenthesis left open indent the next line; comments keep their stars aligned.

local function unbraced(line)
  return line:find("^for %b()$") or line:find("^if %b()$") or line:find("^while %b()$") or line == "else"
end

return function(text)
  local out, depth, parens, extra, comment = {}, 0, 0, 0, false
  for raw in text:gmatch("(.-)\n") do
    local line = raw:match("^%s*(.-)%s*$")
    local code = line:gsub("/%*.-%*/", ""):gsub('"[^"]*"', ""):gsub("'[^']*'", "")
    if comment or line:find("^/%*") then
      local inside = comment
      comment = not line:find("%*/")
      line = (" "):rep(4 * depth + (inside and 1 or 0)) .. line
      code = inside and "" or (comment and "" or code)
    elseif line == "" or line:find("^#") then
      code = ""
    else
      local at = depth - (line:find("^}") and 1 or 0) + (parens > 0 and 1 or 0) + (line:find("^{") and 0 or extra)
      line = (" "):rep(4 * at) .. line
      extra = unbraced(code) and extra + 1 or (parens > 0 and extra or 0)
    end
    local _, opened = code:gsub("{", "")
    local _, closed = code:gsub("}", "")
    local _, left = code:gsub("%(", "")
    local _, right = code:gsub("%)", "")
    depth, parens = depth + opened - closed, parens + left - right
    out[#out + 1] = line
  end
  return table.concat(out, "\n") .. "\n"
end
