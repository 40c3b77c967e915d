-- gen: writes kernels. Plain Lua (5.1 and later, and LuaJIT), the same bytes under each.
local usage = [[
usage: gen.lua FAMILY ISA [k=v ...]      print one kernel (the family's default point unless told)
       gen.lua --list [FAMILY] [ISA]     the name of every point of every ISA, one a line
       gen.lua --name NAME               print the kernel of that name
       gen.lua --layout NAME             print a layout's packer
       gen.lua --build DIR --arch ARCH [--points default|cover|all] [--dispatch FILE] [--only ISA]
                                         write a build's sources to DIR, and sources.txt (file|flags)
]]

local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. package.path

local space = require "space"
local name = require "name"
local emit = require "emit"
local choose = require "choose"

local function die(status, message)
  io.stderr:write("gen: ", message, "\n")
  os.exit(status)
end

local function write_if_changed(path, text)
  local old = io.open(path, "rb")
  if old then
    local same = old:read("*a") == text
    old:close()
    if same then return end
  end
  local f, message = io.open(path, "wb")
  if not f then die(1, "cannot write " .. message) end
  f:write(text)
  f:close()
end

local function print_kernel(words)
  local family, isa = words[1], words[2]
  if not isa then die(2, "a family wants an ISA\n" .. usage) end
  local point = space.defaults(family, isa)[1]
  if not point then die(4, ("%s is not offered on %s"):format(family, isa)) end
  for i = 3, #words do
    local key, value = words[i]:match("^(%a)=(%w+)$")
    local list = key and space.family(family).space[key]
    local known = false
    for _, v in ipairs(list or {}) do
      if tostring(v) == value then point[key], known = v, true end
    end
    if not list then die(2, ("'%s': expected k=v with k one of %s"):format(words[i],
      table.concat(space.parameters(space.family(family)), " "))) end
    if not known then die(2, ("'%s': %s is one of %s"):format(words[i], key, table.concat(list, " "))) end
  end
  local why = space.refuse(point)
  if why then die(4, ("%s on %s cannot be %s: %s"):format(family, isa, table.concat(words, " ", 3), why)) end
  io.write(emit.kernel(point).code)
end

local function list(words)
  local one = words[2] or words[1]
  for _, isa in ipairs(space.isas()) do
    for _, family in ipairs(space.families()) do
      local wanted = #words == 0 or (family == words[1] and (not words[2] or isa == words[2]))
        or (isa == one and #words == 1)
      for _, point in ipairs(wanted and space.points(family, isa) or {}) do io.write(name.of(point), "\n") end
    end
  end
end

local function print_named(text)
  local point, why = name.parse(text)
  if not point then die(2, why) end
  io.write(emit.kernel(point).code)
end

local function build(dir, o)
  if not o.arch then die(2, "--build wants --arch\n" .. usage) end
  local plan = choose.points(o.arch, o.points or "default", o.only)
  local table_text, notes = choose.tables(o.arch, plan, o.dispatch)
  local files, sources = emit.build(o.arch, plan, table_text)
  for file, text in pairs(files) do write_if_changed(dir .. "/" .. file, text) end
  local lines = {}
  for _, s in ipairs(sources) do lines[#lines + 1] = s.file .. "|" .. s.cflags end
  write_if_changed(dir .. "/sources.txt", table.concat(lines, "\n") .. "\n")
  for _, note in ipairs(notes) do io.stderr:write("gen: ", note, "\n") end
end

local function options(words, from)
  local o = {}
  for i = from, #words, 2 do
    local key = words[i]:match("^%-%-(%a+)$")
    if not key or not words[i + 1] then die(2, "'" .. words[i] .. "' is not understood\n" .. usage) end
    o[key] = words[i + 1]
  end
  return o
end

local function main(words)
  local first = words[1]
  if not first or first == "--help" or first == "-h" then
    io.write(usage)
    os.exit(first and 0 or 2)
  elseif first == "--list" then list({ words[2], words[3] })
  elseif first == "--name" and words[2] then print_named(words[2])
  elseif first == "--layout" and words[2] then io.write(emit.layout(words[2]).code)
  elseif first == "--build" and words[2] then build(words[2], options(words, 3))
  elseif first:match("^%-") then die(2, "'" .. first .. "' is not understood\n" .. usage)
  else print_kernel(words)
  end
end

local ok, message = pcall(main, arg)
if not ok then die(1, tostring(message)) end
