-- native: the runtime's own headers as FFI declarations, and its code as loaded libraries.

local ffi = require "ffi"

local native = {}

local declared = {}

-- Declares a header of this project: what it includes from the system LuaJIT knows already.
local function declare(path)
  if declared[path] then return end
  declared[path] = true
  local f = assert(io.open(path, "rb"))
  local text = f:read("*a")
  f:close()
  text = text:gsub("#ifdef __cplusplus.-#endif", ""):gsub("\\\n", " ")
  ffi.cdef((text:gsub("/%*.-%*/", " "):gsub("#[^\n]*", ""):gsub("__attribute__%b()", "")))
end

-- The runtime as the tuner needs it (build/libtri_tune.so).
function native.runtime(root, path)
  for _, header in ipairs { "include/tritune", "base/error", "base/cpu", "base/cores", "base/threads", "base/memory",
    "kernels/kernel", "kernels/verify", "kernels/dispatch", "kernels/timing", "model/model", "model/synth",
    "engine/session", "engine/trial" } do
    declare(root .. "runtime/" .. header .. ".h")
  end
  return ffi.load(path)
end

-- Google Benchmark (build/libtri_bench.so).
function native.bench(root, path)
  declare(root .. "bench/shim.h")
  return ffi.load(path)
end

-- -- candidates ------------------------------------------------------------------------------------------

ffi.cdef [[
void *dlopen(const char *path, int flags);
void *dlsym(void *handle, const char *symbol);
char *dlerror(void);
]]

local RTLD_NOW = 2

local function symbol(handle, name, type)
  local p = ffi.C.dlsym(handle, name)
  if p == nil then error("no symbol " .. name, 0) end
  return ffi.cast(type, p)
end

-- The records of a shared object made by build.lua: { kernel =, layout = } (structs of kernel.h), whose
-- strings live as long as the table.
function native.candidate(c)
  local handle = ffi.C.dlopen(c.so, RTLD_NOW)
  if handle == nil then error(ffi.string(ffi.C.dlerror()), 0) end
  local out = { names = c }
  out.layout = ffi.new("struct tri_layout", { c.layout.name, c.layout.rows, c.layout.kstep, c.layout.bytes,
    c.layout.three_of_four or false, symbol(handle, "tri_pack", "tri_pack_fn *"),
    symbol(handle, "tri_unpack", "tri_unpack_fn *") })
  out.kernel = ffi.new("struct tri_kernel", { name = c.name, isa = c.isa, layout = c.layout.name, form = c.form,
    kind = "TRI_KIND_" .. c.kind, tokens = c.tokens, group = c.group, kmax = c.kmax, table_bytes = c.table_bytes,
    prepare = c.prepare and symbol(handle, c.prepare, "tri_prepare_fn *") or nil })
  out.kernel[c.kind] = symbol(handle, c.symbol, ("tri_%s_fn *"):format(c.kind))
  return out
end

return native
