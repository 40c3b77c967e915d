-- machine: what machine was measured, as people ask: results/CPU/machine.txt. Looks, and measures nothing.

local linux = require "linux"

local machine = {}

local function first_line(path)
  local text = linux.read(path)
  return text and text:match("^%s*([^\n]-)%s*\n") or nil
end

local function count(text, pattern)
  local _, n = text:gsub(pattern, "")
  return n
end

-- "L1d 48K, L2 2048K, L3 107520K (shared by 0-1)" of one CPU's folder in sysfs.
local function caches(folder)
  local list = {}
  for i = 0, 7 do
    local at = ("%s/index%d/"):format(folder, i)
    local level, size = first_line(at .. "level"), first_line(at .. "size")
    if not level or not size then break end
    local kind = ({ Data = "d", Instruction = "i" })[first_line(at .. "type") or ""] or ""
    list[#list + 1] = ("L%s%s %s, CPUs %s"):format(level, kind, size, first_line(at .. "shared_cpu_list") or "?")
  end
  return #list > 0 and table.concat(list, "; ") or nil
end

-- root: "" or, for a test, a folder with proc/ and sys/.
function machine.facts(root)
  root = root or ""
  local info = linux.read(root .. "/proc/cpuinfo") or ""
  local kib = (linux.read(root .. "/proc/meminfo") or ""):match("MemTotal:%s*(%d+) kB")
  local cpu = root .. "/sys/devices/system/cpu/"
  return {
    cores = count("\n" .. info, "\nprocessor%s*:"),
    mhz = tonumber(info:match("cpu MHz%s*:%s*([%d.]+)")),
    caches = caches(cpu .. "cpu0/cache"),
    memory = kib and ("%.1f GiB"):format(kib / 2 ^ 20),
    kernel = first_line(root .. "/proc/sys/kernel/osrelease"),
    governor = first_line(cpu .. "cpu0/cpufreq/scaling_governor"),
    huge_pages = first_line(root .. "/sys/kernel/mm/transparent_hugepage/enabled"),
  }
end

local order = { { "cpu", "CPU" }, { "arch", "architecture" }, { "cores", "cores" }, { "mhz", "clock, MHz" },
  { "caches", "caches" }, { "memory", "memory" }, { "huge_pages", "huge pages" }, { "kernel", "Linux" },
  { "governor", "governor" }, { "compiler", "compiler" }, { "threads", "threads" } }

-- facts: of machine.facts, and cpu, arch, compiler, threads, read (GB/s by number of threads).
function machine.text(facts)
  local lines, threads = {}, {}
  local function line(label, value) lines[#lines + 1] = ("%-16s%s\n"):format(label, tostring(value):gsub("%c", " ")) end
  for _, row in ipairs(order) do line(row[2], facts[row[1]] or "not known") end
  for n in pairs(facts.read or {}) do threads[#threads + 1] = n end
  table.sort(threads)
  for _, n in ipairs(threads) do
    line(n == 1 and "reads with 1" or "reads with " .. n, ("%.1f GB/s"):format(facts.read[n]))
  end
  return table.concat(lines)
end

return machine
