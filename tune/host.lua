-- host: what machine and compiler this is. Plain Lua (5.1 and later, and LuaJIT), since a build asks it.
--   lua tune/host.lua --dispatch     the table tuned for this CPU, if there is one; --slug: its folder's name

local here = debug.getinfo(1, "S").source:match("^@(.*/)[^/]*$") or "./"

local host = { root = here == "tune/" and "" or here:match("^(.*/)tune/$") or here .. "../" }

local cpu_keys = { "model name", "cpu family", "model", "stepping",
  "CPU implementer", "CPU part", "CPU variant", "CPU revision" }

local machines = { amd64 = "x86_64", arm64 = "aarch64" }

local function first_line(command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local line = pipe and pipe:read("*l")
  if pipe then pipe:close() end
  return line
end

function host.quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

function host.arch()
  local machine = first_line("uname -m") or "unknown"
  return machines[machine] or machine
end

-- The values of cpu_keys in the first block of `text`, as tri_cpu_name in runtime/base/cpu.c reads them.
function host.cpu_of(text)
  local value, parts = {}, {}
  for line in text:gmatch("[^\n]*\n?") do
    if line:sub(1, 1) == "\n" or line == "" then break end
    line = line:sub(1, 511)
    local key, rest = line:match("^([^:]-)[ \t]*:(.*)$")
    if key and #line > 3 and rest:sub(2):match("^([^\n]*)") ~= "" then
      value[key] = value[key] or rest:sub(2):match("^([^\n]*)"):sub(1, 63)
    end
  end
  for _, key in ipairs(cpu_keys) do parts[#parts + 1] = value[key] end
  return table.concat(parts, "/"):sub(1, 319)
end

function host.cpu()
  local f = io.open("/proc/cpuinfo", "rb")
  local name = f and host.cpu_of(f:read("*a")) or ""
  if f then f:close() end
  return name ~= "" and name or host.arch()
end

-- A folder's name: "Intel(R) Xeon(R) Processor/6/207/2" -> "intel-xeon-processor-6-207-2".
function host.slug(cpu)
  local text = cpu:gsub("%(%a+%)", " "):gsub("@.-/", "/"):lower():gsub("[^%w]+", "-"):gsub("^%-+", "")
  return (text:sub(1, 80):gsub("%-+$", ""))
end

function host.cc()
  local cc = os.getenv("CC")
  return cc and cc:match("%S") and cc or "cc"
end

-- The compiler's first words about itself, or nil if there is none. CC may carry options ("ccache gcc").
function host.compiler()
  local line = first_line(host.cc() .. " --version")
  return line and line:match("%S") and line or nil
end

-- The path of this CPU's table, or nil: none, or one that names another CPU.
function host.dispatch(results)
  package.path = host.root .. "gen/?.lua;" .. package.path
  local literal = require "literal"
  local cpu = host.cpu()
  local path = (results or host.root .. "results") .. "/" .. host.slug(cpu) .. "/dispatch.lua"
  local f = io.open(path, "rb")
  if not f then return nil end
  local value = literal.read(f:read(literal.most_bytes + 1) or "")
  f:close()
  return type(value) == "table" and value.cpu == cpu and path or nil
end

local function absolute(path)
  if path:sub(1, 1) == "/" then return path end
  local folder = first_line("cd " .. host.quote(path:match("^(.*)/") or ".") .. " && pwd")
  return (folder or ".") .. "/" .. path:match("[^/]*$")
end

local function main(words)
  if words[1] == "--slug" then print(host.slug(host.cpu()))
  elseif words[1] == "--cpu" then print(host.cpu())
  elseif words[1] == "--dispatch" then
    local path = host.dispatch(words[2])
    if path then print(absolute(path)) end
  else
    io.stderr:write("usage: host.lua --dispatch [RESULTS] | --slug | --cpu\n")
    os.exit(2)
  end
end

if arg and arg[0] and arg[0]:match("host%.lua$") then main(arg) end

return host
