-- literal: reads `return { ... }` as data: strings, numbers, booleans, tables of them, comments. It never
-- executes anything, and refuses what is too large or too deep.
--   local value, message = literal.read(text)     message: "line 3: expected a value, found 'os'"

local literal = { most_bytes = 4 * 1024 * 1024, most_depth = 16 }

local escapes = { n = "\n", t = "\t", r = "\r", ["\\"] = "\\", ['"'] = '"', ["'"] = "'" }

local function reader(text)
  local at = 1
  local self = {}

  function self.fail(expected)
    local _, lines = text:sub(1, at - 1):gsub("\n", "")
    local found = text:match("^[%w_.]+", at) or text:match("^.", at)
    error({ message = ("line %d: expected %s, found %s"):format(lines + 1, expected,
      found and "'" .. found:sub(1, 20) .. "'" or "the end") }, 0)
  end

  function self.skip()
    while true do
      local _, e = text:find("^%s+", at)
      if e then at = e + 1 end
      _, e = text:find("^%-%-[^\n]*", at)
      if not e then return end
      at = e + 1
    end
  end

  function self.take(pattern)
    self.skip()
    local s, e, capture = text:find("^" .. pattern, at)
    if not s then return nil end
    at = e + 1
    return capture or text:sub(s, e)
  end

  function self.sees(set)
    self.skip()
    return text:find("^" .. set, at) ~= nil
  end

  function self.string()
    local open = self.take("[\"']")
    local out = {}
    while true do
      local c = text:sub(at, at)
      if c == "" or c == "\n" then self.fail("the end of a string") end
      at = at + 1
      if c == open then return table.concat(out) end
      if c == "\\" then
        c = escapes[text:sub(at, at)] or self.fail("a known escape")
        at = at + 1
      end
      out[#out + 1] = c
    end
  end

  return self
end

local value

local function tables(r, depth)
  if depth > literal.most_depth then r.fail("at most " .. literal.most_depth .. " levels") end
  local out, n = {}, 0
  r.take("{")
  while not r.take("}") do
    local key = r.take("([%a_][%w_]*)%s*=%f[^=]")
    if not key and r.take("%[") then
      key = value(r, depth + 1)
      if not (r.take("%]") and r.take("=")) then r.fail("']='") end
    end
    if key == nil then n = n + 1 key = n end
    if out[key] ~= nil then r.fail("each key once; '" .. tostring(key) .. "' stands twice") end
    out[key] = value(r, depth + 1)
    if not r.take("[,;]") then
      if r.take("}") then return out end
      r.fail("',' or '}'")
    end
  end
  return out
end

function value(r, depth)
  if r.sees("{") then return tables(r, depth) end
  if r.sees("[\"']") then return r.string() end
  local word = r.take("(true)%f[^%w_]") or r.take("(false)%f[^%w_]")
  if word then return word == "true" end
  local number = r.take("%-?%d+%.?%d*[eE]?[-+]?%d*")
  return tonumber(number or "x") or r.fail("a value")
end

function literal.read(text)
  if #text > literal.most_bytes then return nil, "more than " .. literal.most_bytes .. " bytes" end
  local r = reader(text)
  local ok, result = pcall(function()
    if not r.take("return%f[^%w_]") then r.fail("'return'") end
    local v = value(r, 1)
    r.skip()
    if r.take(".") then r.fail("nothing more") end
    return v
  end)
  if ok then return result end
  return nil, type(result) == "table" and result.message or tostring(result)
end

return literal
