-- facts: what machine, build and memory the rows of a benchmark were measured with, as lines of its context.

local host = require "host"
local hash = require "hash"

local facts = {}

local function output_of(command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local text = pipe and pipe:read("*a") or ""
  if pipe then pipe:close() end
  return text
end

-- The compiler that made the libraries of a build, in its own words.
local function compiler_of(folder)
  local f = io.open(folder .. "/CMakeCache.txt", "rb")
  local path = f and f:read("*a"):match("\nCMAKE_C_COMPILER:[%u]+=([^\n]+)")
  if f then f:close() end
  return path and output_of(host.quote(path) .. " --version"):match("^[^\n]+") or "not known"
end

-- The commit of the sources, if git knows it, and whether they differ from it.
local function commit_of(root)
  local git = "git -C " .. host.quote(root ~= "" and root or ".")
  local commit = output_of(git .. " rev-parse --short=12 HEAD"):match("^%x+")
  if not commit then return "not known" end
  return commit .. (output_of(git .. " status --porcelain -uno") ~= "" and " and changes" or "")
end

-- The kernels of this run: their code, not only their names.
local function hash_of(kernels)
  local list = {}
  for i, c in ipairs(kernels) do list[i] = c.hash end
  table.sort(list)
  return hash(table.concat(list, "\n"))
end

-- { key, value } in order. b: present, options.build; linked, memory: the child's answers; kernels: of this run.
function facts.of(b, linked, memory, kernels)
  local tuned = linked.cpu == "" and "untuned" or linked.cpu == host.cpu() and "tuned" or "tuned for " .. linked.cpu
  return {
    { "cpu", host.cpu() },
    { "isas", table.concat(b.present, " ") },
    { "compiler", compiler_of(b.options.build) },
    { "commit", commit_of(host.root) },
    { "dispatch", tuned },
    { "kernels", hash_of(kernels) },
    { "rotating_mib", ("%d"):format(memory.memory / 2 ^ 20) },
    { "cache_mib", ("%.1f"):format(memory.cache / 2 ^ 20) },
  }
end

return facts
