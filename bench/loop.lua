-- loop: the hot loop of a kernel, cut out of a compiler's assembly, and what it is made of. Knows x86-64 (AT&T) and
-- aarch64 as gcc and clang print them.

local loop = {}

-- What a line branches to if it is a branch, else nil.
local function target(line)
  local word, to = line:match("^%s*(%S+)%s+(.-)%s*$")
  if not word then return nil end
  if word:match("^j%a+$") or word:match("^b%.?%a*$") then return to end
  if word:match("^cbn?z$") or word:match("^tbn?z$") then return to:match("([^%s,]+)$") end
  return nil
end

local function is_instruction(line) return line:match("^%s+[%a{]") end

-- Every loop that holds no other: lists of instructions.
local function innermost(text)
  local lines, at, loops = {}, {}, {}
  for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
  for i, line in ipairs(lines) do
    local label = line:match("^(%.?%w+):")
    if label then at[label] = i end
    local from = at[target(line) or ""]
    if from then
      local body = {}
      for j = from, i do
        if is_instruction(lines[j]) then body[#body + 1] = lines[j]:match("^%s*(.-)%s*$") end
      end
      at = {} -- what encloses this loop is no innermost one
      loops[#loops + 1] = body
    end
  end
  return loops
end

local function has_vectors(line)
  return line:find("%%[xyz]mm%d") or line:find("%f[%w][vq]%d+%f[^%w]")
end

-- Vectors that an instruction loads, and whether it does anything else with them.
local function work_of(line)
  local word, rest = line:match("^(%S+)%s*(.*)$")
  if word == "{vex}" then word, rest = rest:match("^(%S+)%s*(.*)$") end
  if not has_vectors(rest) then return 0, false end
  if rest:find("%%[xyz]mm") then
    local memory = rest:find("%(") and not rest:match("%)$")  -- the last operand is where a result goes
    local moves = word:match("^v?mov[%a%d]*$") or word:match("broadcast")
    return memory and 1 or 0, not moves or (not rest:find("%(") and word:match("broadcast"))
  end
  if word:match("^ld") then return word == "ldp" and 2 or 1, false end
  return 0, not word:match("^st") and word ~= "mov"
end

-- Patterns of what multiplies integers, and of what computes on floating-point numbers, which moves of such do not.
local products = { "^v?pmul", "^v?pmadd", "^v?pdp", "^t?dpb", "^[su]?ml", "^[su]?mul", "^[su]+dot", "^[su]+mmla",
  "^imul", "^madd$" }
local floats = { "^v?cvt", "^v?fn?m[as]", "^v?[admrs]%a+[ps][sdh]$", "^v?cmp%a*[ps][sdh]$", "^f%a", "^[su]cvtf$" }
local moves = { "^v?mov", "^v?broadcast", "^v?shuf", "^v?unpck", "^fmov$" }

local function any(word, patterns)
  for _, pattern in ipairs(patterns) do
    if word:find(pattern) then return true end
  end
  return false
end

-- { all, alu, loads, products, floats }: instructions, those that compute vectors (a load within one counts as both),
-- loads of vectors, multiplications of integers, and what computes on floating-point numbers.
function loop.count(body)
  local n = { all = #body, alu = 0, loads = 0, products = 0, floats = 0 }
  for _, line in ipairs(body) do
    local loads, computes = work_of(line)
    local word = line:gsub("^{vex}%s*", ""):match("^%S+")
    n.loads = n.loads + loads
    if computes then n.alu = n.alu + 1 end
    local float = any(word, floats)
    if float and not any(word, moves) then n.floats = n.floats + 1 end
    if not float and any(word, products) then n.products = n.products + 1 end
  end
  return n
end

-- The innermost loop with most vector arithmetic; nil if there is none with any.
function loop.hottest(text)
  local best, most
  for _, body in ipairs(innermost(text)) do
    local alu = loop.count(body).alu
    if alu > (most or 0) then best, most = body, alu end
  end
  return best
end

return loop
