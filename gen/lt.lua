-- lt: C templates with Lua in the margin.
--   |stmt         a bar in column one: the line is Lua
--   ${expr}       a Lua expression spliced into C text
--   @word(a, b)   a word of the ISA's vocabulary, replaced by its definition ($1, $2 are the arguments)
-- A Lua function may enclose C lines; calling it emits them. Errors name the template and its line.

local lt = {}

local function quote(s)
  return '"' .. s:gsub('[\\"]', "\\%0"):gsub("\n", "\\n"):gsub("\r", "\\r"):gsub("%z", "\\0") .. '"'
end

-- One template line of C -> a Lua expression for its text.
local function splice(line)
  local parts, pos = {}, 1
  while true do
    local s, e, expr = line:find("%${(.-)}", pos)
    if not s then break end
    parts[#parts + 1] = quote(line:sub(pos, s - 1)) .. "..(" .. expr .. ")"
    pos = e + 1
  end
  parts[#parts + 1] = quote(line:sub(pos))
  return table.concat(parts, "..")
end

-- "(a, f(b, c))" -> { "a", "f(b, c)" }
local function arguments(list)
  local args, depth, from = {}, 0, 2
  for i = 1, #list do
    local c = list:sub(i, i)
    if c == "(" then depth = depth + 1 elseif c == ")" then depth = depth - 1 end
    if (c == "," and depth == 1) or depth == 0 then
      args[#args + 1] = list:sub(from, i - 1):match("^%s*(.-)%s*$")
      from = i + 1
    end
  end
  return args
end

local function speak(text, isa, said)
  return (text:gsub("@([%w_]+)(%b())", function(word, list)
    local meaning = isa[word]
    if type(meaning) ~= "string" then error(isa.name .. " has no @" .. word, 0) end
    said[word] = (said[word] or 0) + 1
    local args = arguments(speak(list, isa, said))
    return (meaning:gsub("%$(%d)", function(i)
      return args[tonumber(i)] or error("@" .. word .. " wants an argument $" .. i, 0)
    end))
  end))
end

local function compile(source, name, env)
  if setfenv then
    local chunk, message = loadstring(source, name) -- luacheck: ignore
    return chunk and setfenv(chunk, env), message -- luacheck: ignore
  end
  return load(source, name, "t", env)
end

-- Renders template text. env: the variables its Lua sees, with env.isa the vocabulary in force. Also returns
-- how often each word was spoken.
function lt.render(text, path, env)
  local code = {}
  for line in (text:sub(-1) == "\n" and text or text .. "\n"):gmatch("(.-)\n") do
    local n = #code + 1
    code[n] = line:match("^|(.*)$") or ("_emit(%d,%s)"):format(n, splice(line))
  end
  local out, said = {}, {}
  local scope = setmetatable({}, { __index = function(_, key)
    local value = env[key]
    if value == nil then value = _G[key] end
    if value == nil then error("no variable '" .. tostring(key) .. "'", 2) end
    return value
  end })
  function scope._emit(line, c)
    local ok, spoken = pcall(speak, c, env.isa, said)
    if not ok then error(("%s:%d: %s"):format(path, line, spoken), 0) end
    out[#out + 1] = spoken
  end
  local chunk, message = compile(table.concat(code, "\n"), "@" .. path, scope)
  if not chunk then error(message, 0) end
  local ok, problem = pcall(chunk)
  if not ok then error(problem, 0) end
  return table.concat(out, "\n") .. "\n", said
end

function lt.file(path, env)
  local f = io.open(path, "rb")
  if not f then error(path .. ": no such template", 0) end
  local text = f:read("*a")
  f:close()
  return lt.render(text, path, env)
end

return lt
