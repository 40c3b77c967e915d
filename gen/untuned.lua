-- untuned: what runs on a CPU that nobody tuned: for each ISA the kernels that were best on the machines that were
-- tuned (results/defaults.lua, made by `tune.lua defaults`); where it says nothing, or of kernels that have changed
-- since, the default points of the family mad, and for more tokens those of others that read their layout.

local space = require "space"
local literal = require "literal"
local plan = require "plan"

local untuned = { path = space.root .. "results/defaults.lua" }

local family = "mad"

local function entries_of(path)
  local f = io.open(path, "rb")
  if not f then return {} end
  local value = literal.read(f:read(literal.most_bytes + 1) or "")
  f:close()
  local by_isa = {}
  for _, entry in ipairs(type(value) == "table" and value or {}) do
    if type(entry) == "table" and type(entry.isa) == "string" then by_isa[entry.isa] = entry end
  end
  return by_isa
end

local files, found = {}, {}

-- What was measured to be best for an ISA, or nil.
local function measured(isa_name)
  local path = untuned.path
  files[path] = files[path] or entries_of(path)
  local entry, key = files[path][isa_name], path .. " " .. isa_name
  if entry and found[key] == nil then
    found[key] = plan.points(entry.kernels, 0, function(isa)
      return isa.name ~= isa_name and isa.name .. " is not " .. isa_name or nil
    end) or false
  end
  return found[key] or nil
end

-- The numbers of columns that may share a scale; 0: whole rows do.
function untuned.groups() return space.groups(family) end

-- What runs where nothing is measured, of the usual code or the one given.
function untuned.otherwise(isa, group, code)
  local list = space.defaults(family, isa, group, code)
  local last = list[#list]
  local layout = last and space.family(family).layout(last)
  for _, other in ipairs(last and space.families() or {}) do
    for _, p in ipairs(space.defaults(other, isa, group, code)) do
      if space.family(other).layout(p) == layout and (p.n or 1) > list[#list].n then list[#list + 1] = p end
    end
  end
  return list
end

-- The points for an ISA where `group` columns share a scale (default 0): for decoding first, then for batches, all on
-- one layout; none where nothing can run.
function untuned.points(isa, group)
  return (group or 0) == 0 and measured(isa) or untuned.otherwise(isa, group)
end

-- Likewise where memory is short: on a layout of the fewest bits a trit; none where nothing can run.
function untuned.smallest(isa)
  for _, code in ipairs(space.family(family).smallest) do
    local list = untuned.otherwise(isa, 0, code)
    if #list > 0 and (list[1].n or 1) == 1 then return list end
  end
  return {}
end

-- Likewise for weights of which exactly one in four is 0, which layouts of 1.25 bits a trit hold and no other.
function untuned.structured(isa)
  local lut = space.family("lut")
  for _, code in ipairs(lut.three_of_four) do
    local list = space.defaults("lut", isa, 0, code)
    if #list > 0 then return list end
  end
  return {}
end

return untuned
