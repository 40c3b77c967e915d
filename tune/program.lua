-- program: what programs in Lua (tune.lua, and those of bench/) share: what must be there for them, how they end with a
-- word of why, and how they read their options.

local program = { FAILED = 1, USAGE = 2, INTERRUPTED = 130 }

-- die(status, format, ...) of the program of that name; it does not return.
local function ending(name)
  return function(status, format, ...)
    io.stderr:write(name, ": ", select("#", ...) > 0 and format:format(...) or format, "\n")
    os.exit(status)
  end
end

-- { die, parser(what) } of the program of that name in a folder. Ends it at once where LuaJIT or a module is missing.
function program.new(folder, name)
  local p = { die = ending(name) }
  if not rawget(_G, "jit") then
    p.die(program.FAILED, "this needs LuaJIT (apt install luajit): luajit %s/%s.lua", folder, name)
  end
  for module, package in pairs { argparse = "lua-argparse", cjson = "lua-cjson" } do
    if not pcall(require, module) then
      p.die(program.FAILED, "the Lua module %s is missing: apt install %s", module, package)
    end
  end
  -- A parser of options whose errors end the program with its usage.
  function p.parser(what)
    local parser = require "argparse"(name .. ".lua", what)
    function parser:error(message) -- luacheck: ignore
      p.die(program.USAGE, "%s\n%s", message, self:get_usage())
    end
    return parser
  end
  return p
end

return program
