-- merge: two files of measurements of one CPU as one, each record once, in the order of their times.

local records = require "records"
local store = require "store"

local merge = { summary = "Two files of measurements of one CPU as one." }

function merge.options(parser)
  parser:argument("a", "A file of measurements."):argname("A")
  parser:argument("b", "Another."):argname("B")
  parser:option("-o --output", "File to write (default: standard output)."):argname("C")
end

function merge.run(o)
  local a, why = records.load(o.a)
  if not a then return nil, why end
  local b
  b, why = records.load(o.b)
  if not b then return nil, why end
  if a.cpu ~= b.cpu then return nil, ("%s is of %s, %s of %s; CPUs are not mixed"):format(o.a, a.cpu, o.b, b.cpu) end
  local has = {}
  local lines = records.new_lines(a.list, has)
  for _, line in ipairs(records.new_lines(b.list, has)) do lines[#lines + 1] = line end
  local head = a.export or b.export
  local ordered = records.new_lines(store.records(table.concat(lines)), {})
  return records.deliver(o.output, records.head(a.cpu, head and head.machine) .. table.concat(ordered),
    ("%s: %d records of %s\n"):format(o.output or "", #ordered, a.cpu))
end

return merge
