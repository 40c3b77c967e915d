-- name: point <-> kernel name. The grammar, in one place:
--   family _ layout _ parameters __ isa        mad_q2r64_m64n1a4u1p64h2__avx512vnni
-- Before `__` is what it computes, after it who can run it; a letter labels each number. What a family leaves
-- `unsaid` is written only where it differs from that: g128 at the end has scales of 128 columns. The same string
-- is symbol, file, filter, benchmark row and results key.

local space = require "space"

local name = {}

function name.of(point)
  local family = space.family(point.family)
  local tail = {}
  for _, p in ipairs(family.order) do
    if space.said(family, point, p) then tail[#tail + 1] = p .. point[p] end
  end
  return ("%s_%s_%s__%s"):format(point.family, family.layout(point), table.concat(tail), point.isa)
end

-- The point of a name, or nil and what is wrong with it. Never trusts the text: the result, named again,
-- is the text, and its ISA can run it.
function name.parse(text)
  if type(text) ~= "string" or #text > 100 then return nil, "not a kernel name" end
  local family_name, layout, tail, isa_name = text:match("^(%a+)_(%w+)_(%w+)__(%w+)$")
  if not family_name then return nil, "'" .. text .. "' is not family_layout_parameters__isa" end
  local known, family = pcall(space.family, family_name)
  if not known then return nil, family end
  local has, isa = pcall(space.isa, isa_name)
  if not has then return nil, isa end
  local facts = family.layout_facts(layout)
  if not facts then return nil, "'" .. layout .. "' is no layout of " .. family_name end
  local point = { family = family_name, isa = isa_name, r = facts.r, c = layout:match("^(%a%d)r") }
  if not family.space.c then point.c = nil end
  for letter, number in pairs(family.unsaid or {}) do point[letter] = number end
  for letter, number in tail:gmatch("(%a)(%d+)") do point[letter] = tonumber(number) end
  for _, p in ipairs(space.parameters(family)) do
    local found = false
    for _, value in ipairs(family.space[p]) do found = found or value == point[p] end
    if not found then return nil, ("%s: %s = %s is not in the space"):format(text, p, tostring(point[p])) end
  end
  if name.of(point) ~= text then return nil, "'" .. text .. "' is not how that kernel is written" end
  local why = space.refuse(point)
  if why then return nil, text .. ": " .. why end
  return point
end

return name
