-- space: which kernels can exist. A point is { family=, isa=, one value for each parameter }; an ISA offers a
-- family only where it has the words of the family's template.

local space = { root = debug.getinfo(1, "S").source:match("^@(.*/)gen/[^/]*$")
  or debug.getinfo(1, "S").source:match("^@gen/[^/]*$") and "" or "../" }

local function load_table(kind, name)
  local path = space.root .. "gen/" .. kind .. "/" .. name .. ".lua"
  local chunk = loadfile(path)
  if not chunk then return nil end
  return chunk()
end

local function names_in(kind)
  local list = {}
  local pipe = io.popen("ls '" .. space.root .. "gen/" .. kind .. "'")
  for file in pipe:lines() do list[#list + 1] = file:match("^(.*)%.lua$") end
  pipe:close()
  table.sort(list)
  return list
end

local function contains(list, value)
  for _, v in ipairs(list) do if v == value then return true end end
  return false
end

local isas, families = {}, {}

-- The table of an ISA; what it does not say it takes from the one it is `like`.
function space.isa(name)
  if not isas[name] then
    if not name:match("^%w+$") then error("'" .. name .. "' cannot be the name of an ISA", 0) end
    local isa = load_table("isa", name) or error("no ISA '" .. name .. "' (see gen/isa)", 0)
    if isa.like then setmetatable(isa, { __index = space.isa(isa.like) }) end
    isas[name] = isa
  end
  return isas[name]
end

function space.family(name)
  if not families[name] then
    if not name:match("^%w+$") then error("'" .. name .. "' cannot be the name of a family", 0) end
    families[name] = load_table("family", name) or error("no family '" .. name .. "' (see gen/family)", 0)
  end
  return families[name]
end

-- The ISAs of an architecture (all without one), ascending rank, then name.
function space.isas(arch)
  local list = {}
  for _, name in ipairs(names_in("isa")) do
    local isa = space.isa(name)
    if not arch or isa.arch == arch or isa.arch == "any" then list[#list + 1] = name end
  end
  table.sort(list, function(a, b)
    local ra, rb = space.isa(a).rank, space.isa(b).rank
    if ra ~= rb then return ra < rb end
    return a < b
  end)
  return list
end

function space.families() return names_in("family") end

-- Those of a list of families whose kernels are of that kind (kernel.h).
function space.of_kind(names, kind)
  local list = {}
  for _, f in ipairs(names) do
    if (space.family(f).kind or "matmul") == kind then list[#list + 1] = f end
  end
  return list
end

-- The family's parameters in a fixed order: those of the layout first.
function space.parameters(family)
  local list, seen = {}, {}
  for _, p in ipairs(family.order) do seen[p] = true end
  for p in pairs(family.space) do if not seen[p] then list[#list + 1] = p end end
  table.sort(list)
  for _, p in ipairs(family.order) do list[#list + 1] = p end
  return list
end

-- Whether a name says the parameter p of a point; a family may leave a usual value unsaid.
function space.said(family, point, p)
  return not family.unsaid or family.unsaid[p] == nil or family.unsaid[p] ~= point[p]
end

-- The columns that may share a scale, ascending, 0 (whole rows do) among them.
function space.groups(family_name) return space.family(family_name).space.g or { 0 } end

-- What a job's sparse kernels are, by role: rows of the half of gate_up that is up, columns of down.
space.sparse = { gate_up = "rows", down = "columns" }

-- The names of all layouts there can be, sorted: a file may have been packed for another machine.
function space.layouts()
  local list = {}
  for _, family_name in ipairs(space.of_kind(space.families(), "matmul")) do
    local family = space.family(family_name)
    for _, c in ipairs(family.space.c) do
      for _, r in ipairs(family.space.r) do
        local layout = family.layout({ c = c, r = r })
        if family.layout_facts(layout) and not contains(list, layout) then list[#list + 1] = layout end
      end
    end
  end
  table.sort(list)
  return list
end

-- nil if the ISA can run the point, else one phrase.
function space.refuse(point)
  local family, isa = space.family(point.family), space.isa(point.isa)
  local why = family.refuse(point, isa)
  if why then return why end
  for _, word in ipairs(family.words or family.words_of(point)) do
    if not isa[word] then return isa.name .. " has no @" .. word end
  end
  return nil
end

-- Every point of a family on an ISA, in the order of its value lists; of one group only, if told (groups of
-- columns that a family does not have give no points).
function space.points(family_name, isa_name, group)
  local family = space.family(family_name)
  local parameters, points = space.parameters(family), {}
  if group and not contains(space.groups(family_name), group) then return points end
  local function extend(i, point)
    local parameter = parameters[i]
    if not parameter then
      if space.refuse(point) then return end
      local copy = {}
      for k, v in pairs(point) do copy[k] = v end
      points[#points + 1] = copy
      return
    end
    for _, value in ipairs(parameter == "g" and group and { group } or family.space[parameter]) do
      point[parameter] = value
      extend(i + 1, point)
    end
    point[parameter] = nil
  end
  extend(1, { family = family_name, isa = isa_name })
  return points
end

-- Whether the layout of a point holds any trits: others are for models that were trained for them.
function space.holds_all(point)
  local codes = space.family(point.family).codes
  return not (codes and point.c and codes[point.c].three_of_four)
end

-- The points that run untuned where so many columns share a scale (default 0: whole rows do): for decoding first,
-- then for batches, all on one layout, of the family's usual code or the one given.
function space.defaults(family_name, isa_name, group, code)
  local list, family = {}, space.family(family_name)
  if not contains(space.groups(family_name), group or 0) then return list end
  for _, p in ipairs(family.defaults(space.isa(isa_name), group or 0, code)) do
    p.family, p.isa, p.g = family_name, isa_name, family.space.g and (group or 0)
    if contains(family.space.c, p.c) and not space.refuse(p) then list[#list + 1] = p end
  end
  return list
end

-- What a point has that a selection should have: the value of each parameter, and all of family.together's at once.
local function traits(family, parameters, point)
  local list, together = {}, {}
  for i, q in ipairs(parameters) do list[i] = q .. "=" .. tostring(point[q]) end
  for i, q in ipairs(family.together or {}) do together[i] = q .. "=" .. tostring(point[q]) end
  list[#list + 1] = table.concat(together, " ")
  return list
end

-- A selection of a family's points in which every value of every parameter that occurs at all occurs:
-- the defaults, then greedily what covers most of the rest.
function space.cover(family_name, isa_name)
  local family = space.family(family_name)
  local parameters = space.parameters(family)
  local missing, left, has = {}, 0, {}
  local points = space.points(family_name, isa_name)
  for _, p in ipairs(points) do
    has[p] = traits(family, parameters, p)
    for _, trait in ipairs(has[p]) do
      if not missing[trait] then missing[trait], left = true, left + 1 end
    end
  end
  local chosen = {}
  local function take(p)
    chosen[#chosen + 1] = p
    for _, trait in ipairs(has[p] or traits(family, parameters, p)) do
      if missing[trait] then missing[trait], left = nil, left - 1 end
    end
  end
  for _, group in ipairs(space.groups(family_name)) do
    for _, p in ipairs(space.defaults(family_name, isa_name, group)) do take(p) end
  end
  while left > 0 do
    local best, most = nil, 0
    for _, p in ipairs(points) do
      local new = 0
      for _, trait in ipairs(has[p]) do if missing[trait] then new = new + 1 end end
      if new > most then best, most = p, new end
    end
    if not best then break end
    take(best)
  end
  return chosen
end

return space
