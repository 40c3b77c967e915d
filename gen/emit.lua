-- emit: points, layouts and float vocabularies -> C text and the facts of their records.

local lt = require "lt"
local space = require "space"
local name = require "name"
local hash = require "hash"
local tidy = require "tidy"

local emit = {}

local function template(file) return space.root .. "templates/" .. file end

local function render(file, env) return lt.file(template(file), env) end

-- expression + n, as one would write it.
local function plus(expression, n) return n == 0 and expression or ("%s + %d"):format(expression, n) end

-- Template errors name the file as the project does, wherever it lies.
local function spell(file, env)
  env.plus = plus
  local ok, text, said = pcall(render, file, env)
  if not ok then error((tostring(text):gsub("^.-templates/", "templates/")), 0) end
  return tidy(text), said
end

local helper_blocks = { "integers", "signed_words", "sums", "pair_words", "fives", "tables", "words", "tiles",
  "floats" }

-- Whether a chunk that is no function defines a type that `code` names.
local function named(chunk, code)
  for type_name in chunk:gmatch("} ([%w_]+);") do
    if code:find("%f[%w_]" .. type_name .. "%f[^%w_]") then return true end
  end
  return false
end

-- The chunks (functions, typedefs; a blank line between two) of a block of helpers that `code` needs: from
-- the last to the first, since helpers call earlier ones. Nothing if it uses none of them.
local function needed(block, code)
  local chunks, kept, any = {}, {}, false
  for chunk in (block .. "\n"):gmatch("(.-\n)\n") do table.insert(chunks, 1, chunk) end
  for _, chunk in ipairs(chunks) do
    local helper = not chunk:find("#define") and ("\n" .. chunk):match("\nstatic inline [%w_]+ ([%w_]+)%(")
    local called = helper and code:find("%f[%w_]" .. helper .. "%(")
    if called then any, code = true, code .. chunk end
    if not helper and named(chunk, code) then any = true end
    if called or not helper then table.insert(kept, 1, chunk) end
  end
  return any and table.concat(kept, "\n") or nil
end

-- The includes of an ISA and those of its helpers that `code` calls.
local function prelude(isa, code)
  local out = { "#include <stddef.h>\n#include <stdint.h>\n#include " .. isa.include .. "\n" }
  for _, block in ipairs(helper_blocks) do out[#out + 1] = isa[block] and needed(isa[block], code) end
  return table.concat(out, "\n") .. "\n"
end

local inner = { "load", "quad", "table", "wide_table", "word_table", "and", "shr", "xor", "sign", "tops", "five_first",
  "five_last", "nibble", "trit", "triple", "dot", "lookup", "wide_lookup", "word_lookup", "low16", "high16", "low32",
  "high32", "word_join", "add16", "sub8" }

-- "per 64 rows and 16 columns: 4 load, 16 dot": static counts of the words only inner loops use. counted: tokens and
-- columns of one turn of the loop, and how often the template writes it.
local function operations(point, words, counted, said)
  local list = {}
  for _, word in ipairs(words) do
    local count = math.floor((said[word] or 0) / counted.times)
    if count >= 1 then list[#list + 1] = ("%d %s"):format(count, word) end
  end
  local tokens = counted.tokens > 1 and (", %d tokens"):format(counted.tokens) or ""
  return ("per %d rows and %d columns%s: %s"):format(point.m, counted.columns, tokens, table.concat(list, ", "))
end

local function usual_count(point, facts)
  local u = point.u or 1
  return { tokens = point.n or 1, columns = facts.kstep, times = u > 1 and u + 1 or 1 }
end

local function arguments(point)
  local list = {}
  local family = space.family(point.family)
  for _, p in ipairs(space.parameters(family)) do
    if space.said(family, point, p) then list[#list + 1] = p .. "=" .. point[p] end
  end
  return table.concat(list, " ")
end

-- A kernel: its record's fields, `body` (its functions alone) and `head` (the comment above them).
local function build(point)
  local family, isa = space.family(point.family), space.isa(point.isa)
  local why = space.refuse(point)
  if why then error(("%s %s %s: %s"):format(point.family, point.isa, arguments(point), why), 0) end
  local file = type(family.template) == "function" and family.template(point) or family.template
  local layout = family.layout(point)
  local facts = family.layout_facts(layout)
  local env = family.bind(point, isa)
  for _, p in ipairs(space.parameters(family)) do env[p] = point[p] end
  env.isa, env.name, env.layout = isa, name.of(point), layout
  local body, said = spell(file, env)
  local k = { point = point, name = env.name, isa = isa.name, layout = layout, cflags = isa.cflags, body = body,
    kind = family.kind or "matmul", group = 0 }
  for key, value in pairs(env.record) do k[key] = value end
  if family.prepare then
    k.prepare = ("tri_prepare_%s__%s"):format(k.form, isa.name)
    env.name = ("%s__%s"):format(k.form, isa.name)
    k.prepare_body = spell(family.prepare, env)
  end
  local counts = operations(point, family.inner or inner, env.counted or usual_count(point, facts), said)
  k.head = ("/* tri_%s - generated, do not edit.\n * from templates/%s: gen.lua %s %s %s\n * %s */\n"):format(
    k.name, file, point.family, point.isa, arguments(point), counts)
  return k
end

-- One kernel as a self-contained C file: k.code, beside the fields of its record (kernel.h), k.cflags, the
-- names of its symbols k.symbol and k.prepare (nil for q8), and k.hash over all of it.
function emit.kernel(point)
  local k = build(point)
  local code = (k.prepare_body or "") .. "\n" .. k.body
  k.symbol = "tri_" .. k.name
  k.code = k.head .. prelude(space.isa(k.isa), code) .. k.body .. (k.prepare_body or "")
  k.hash = hash(k.code .. k.cflags .. emit.layout(k.layout).code)
  return k
end

-- Whether a family has a peak, and an ISA what it is measured with.
function emit.has_peak(family_name, isa)
  local peak = space.family(family_name).peak
  for _, word in ipairs(peak and peak.words or {}) do if not isa[word] then return false end end
  return peak ~= nil
end

local function peak_name(family_name, isa_name) return ("peak_%s__%s"):format(family_name, isa_name) end

-- A peak's function alone.
local function peak_body(family_name, isa)
  local peak = space.family(family_name).peak
  return (spell(peak.template, { isa = isa, name = peak_name(family_name, isa.name), tokens = peak.tokens,
    lanes = math.floor(isa.bits / 32) }))
end

-- What is timed as a kernel to know what a family's kernels could reach on this ISA: as many products, in registers.
-- It computes nothing. A record as of emit.kernel; layout: of the kernels it is compared with.
function emit.peak(family_name, isa_name, layout)
  local isa, peak = space.isa(isa_name), space.family(family_name).peak
  local k = { name = peak_name(family_name, isa_name), isa = isa_name, layout = layout, form = "q8",
    kind = "matmul", group = 0, tokens = peak.tokens, table_bytes = 0, kmax = 8388480, cflags = isa.cflags }
  local body = peak_body(family_name, isa)
  k.symbol = "tri_" .. k.name
  k.code = prelude(isa, body) .. body
  k.hash = hash(k.code .. k.cflags .. emit.layout(layout).code)
  return k
end

-- All kernels of one ISA as one C file.
local function kernels_file(isa_name, kernels)
  local parts, done = {}, {}
  for _, k in ipairs(kernels) do
    parts[#parts + 1] = k.head .. k.body
    if k.prepare and not done[k.prepare] then
      done[k.prepare] = true
      parts[#parts + 1] = k.prepare_body
    end
  end
  local code = table.concat(parts, "\n")
  return prelude(space.isa(isa_name), code) .. code
end

-- All peaks of one ISA as one C file, or nil; and a line for each in `inc`.
local function peaks_file(isa, inc)
  local parts = {}
  for _, family_name in ipairs(space.families()) do
    if emit.has_peak(family_name, isa) then
      parts[#parts + 1] = peak_body(family_name, isa)
      inc[#inc + 1] = ("TRI_PEAK(%s, %s, %s, %d)"):format(isa.name, family_name, peak_name(family_name, isa.name),
        space.family(family_name).peak.tokens)
    end
  end
  local code = table.concat(parts, "\n")
  return #parts > 0 and prelude(isa, code) .. code or nil
end

-- A layout: its record's fields and `code`, the packer and its inverse.
function emit.layout(layout)
  for _, family_name in ipairs(space.families()) do
    local family = space.family(family_name)
    local facts = family.pack and family.layout_facts(layout)
    if facts then
      facts.layout, facts.isa, facts.word = layout, { name = "plain C" }, facts.word or false
      facts.three_of_four = facts.three_of_four or false
      local file = type(family.pack) == "function" and family.pack(facts) or family.pack
      local code = spell(file, facts)
      return { name = layout, rows = facts.rows, kstep = facts.kstep, bytes = facts.bytes,
        three_of_four = facts.three_of_four, code = code }
    end
  end
  error("no family has a layout '" .. tostring(layout) .. "'", 0)
end

-- The float functions of an ISA as one C file, defining tri_vec_ISA.
function emit.vec(isa_name)
  local isa = space.isa(isa_name)
  local body = spell("vec.c.lt", { isa = isa })
  return ("/* Float work on %s - generated from templates/vec.c.lt, do not edit. */\n"):format(isa_name)
    .. "#include \"kernels/kernel.h\"\n#include <math.h>\n#include <string.h>\n" .. prelude(isa, body) .. body
end

-- Everything a build needs, as { file name = text }, and the list of { file =, cflags = } to compile.
-- points: what to link; arch: whose ISAs; choices: the text of the dispatch tables.
function emit.build(arch, points, choices)
  local files, sources, inc, seen = {}, {}, {}, {}
  local function add(file, text, cflags)
    files[file] = text
    if cflags then sources[#sources + 1] = { file = file, cflags = cflags } end
  end
  for _, isa_name in ipairs(space.isas(arch)) do
    local isa, kernels = space.isa(isa_name), {}
    inc[#inc + 1] = ("TRI_ISA(%s, %d, %s)"):format(isa_name, isa.rank, isa.detect)
    for _, point in ipairs(points) do
      local k = point.isa == isa_name and not seen[name.of(point)] and build(point)
      if k then
        seen[k.name] = true
        kernels[#kernels + 1] = k
        if k.prepare and not seen[k.prepare] then
          seen[k.prepare] = true
          inc[#inc + 1] = ("TRI_PREPARE(%s)"):format(k.prepare)
        end
        inc[#inc + 1] = ("TRI_KERNEL(%s, %s, %s, %s, %s, %d, %d, %d, %d, %s)"):format(k.kind, k.isa, k.name, k.layout,
          k.form, k.tokens, k.group, k.kmax, k.table_bytes, k.prepare or "NULL")
      end
    end
    add("vec_" .. isa_name .. ".c", emit.vec(isa_name), isa.cflags)
    if #kernels > 0 then add("kernels_" .. isa_name .. ".c", kernels_file(isa_name, kernels), isa.cflags) end
    local peaks = peaks_file(isa, inc)
    if peaks then add("peaks_" .. isa_name .. ".c", peaks, isa.cflags) end
  end
  local packers = { "/* Packers - generated, do not edit. */\n#include \"kernels/kernel.h\"\n#include <string.h>\n" }
  local records = {}
  for _, layout in ipairs(space.layouts()) do
    local l = emit.layout(layout)
    packers[#packers + 1] = l.code
    records[#records + 1] = ("    {\"%s\", %d, %d, %d, %s, pack_%s, unpack_%s},"):format(l.name, l.rows, l.kstep,
      l.bytes, tostring(l.three_of_four), l.name, l.name)
  end
  packers[#packers + 1] = "const struct tri_layout tri_layouts[] = {\n" .. table.concat(records, "\n")
    .. "\n    {0},\n};\n"
  add("layouts.c", table.concat(packers, "\n"), "")
  add("dispatch_table.c", choices, "")
  add("kernels.inc", "/* One line per ISA and kernel - generated, do not edit. */\n" .. table.concat(inc, "\n") .. "\n")
  return files, sources
end

return emit
