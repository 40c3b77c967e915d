-- export: this machine's measurements and its description as one file.

local linux = require "linux"
local host = require "host"
local records = require "records"

local export = { summary = "This machine's measurements, with machine.txt, as one file." }

function export.options(parser)
  parser:option("-o --output", "File to write (default: standard output)."):argname("FILE")
end

function export.run(o)
  local folder = o.results .. "/" .. host.slug(o.cpu or host.cpu())
  local file, why = records.load(folder .. "/measurements.jsonl")
  if not file then return nil, why .. "; nothing is measured here to export" end
  local head = records.head(file.cpu, (linux.read(folder .. "/machine.txt")))
  local lines = records.new_lines(file.list, {})
  return records.deliver(o.output, head .. table.concat(lines), ("%s: %d records of %s\n"):format(
    o.output or "", #lines, file.cpu))
end

return export
