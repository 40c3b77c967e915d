-- build: candidate -> shared object, several at a time, kept by the hash of all that goes in. A candidate that
-- does not compile is a result: c.failed says why.

local linux = require "linux"
local host = require "host"
local hash = require "hash"

local build = {}

local patience = 120 -- seconds for one compiler

local flags = { "-std=gnu11", "-O2", "-ffp-contract=off", "-O3", "-fPIC" } -- as CMakeLists.txt, and PIC

local function words_of(text)
  local list = {}
  for word in text:gmatch("%S+") do list[#list + 1] = word end
  return list
end

-- A name for half a file, which is no other tuner's.
local function draft_of(path) return ("%s.%d.new"):format(path, linux.pid()) end

local function write(path, text)
  local draft = draft_of(path)
  local f, why = io.open(draft, "wb")
  if not f then error("cannot write " .. why, 0) end
  f:write(text)
  f:close()
  linux.rename(draft, path)
end

-- A builder for one compiler. folder: where objects are kept; jobs: how many compilers at once.
function build.new(folder, compiler, jobs)
  local ok, why = linux.mkdir(folder, 448) -- rwx------
  if not ok then error("cannot keep compiled candidates: " .. why, 0) end
  return { folder = folder, compiler = compiler, jobs = jobs, cc = words_of(host.cc()), headers = {} }
end

-- emit.kernel's record and its layout as the text of a shared object: the packer becomes visible.
local function source(k, layout)
  return ([[
%s
#include <string.h>
%s
void tri_pack(const int8_t *trits, size_t ld, int rows, int k, int kp, uint8_t *tile)
{
    pack_%s(trits, ld, rows, k, kp, tile);
}

void tri_unpack(const uint8_t *tile, int kp, int8_t *trits, size_t ld)
{
    unpack_%s(tile, kp, trits, ld);
}
]]):format(k.code, layout.code, layout.name, layout.name)
end

-- What a child needs to know of a kernel, and the text to compile. k: of emit.kernel, layout: of emit.layout.
function build.candidate(k, layout)
  return {
    name = k.name, isa = k.isa, form = k.form, kind = k.kind, tokens = k.tokens, group = k.group, kmax = k.kmax,
    table_bytes = k.table_bytes,
    symbol = k.symbol, prepare = k.prepare, hash = k.hash, point = k.point,
    layout = { name = layout.name, rows = layout.rows, kstep = layout.kstep, bytes = layout.bytes,
      three_of_four = layout.three_of_four },
    code = source(k, layout), cflags = k.cflags,
  }
end

local function command(b, c, tail)
  local words = {}
  for _, list in ipairs { b.cc, flags, words_of(c.cflags), tail } do
    for _, word in ipairs(list) do words[#words + 1] = word end
  end
  return words
end

-- Runs one compiler and returns what it printed if it failed.
local function run(words)
  local child = linux.spawn(words, true)
  local deadline = linux.now() + patience
  while not child.ended and linux.now() < deadline and not linux.interrupted() do linux.wait({ child }, deadline) end
  local kind, status = linux.reap(child, not child.ended)
  if kind == "exit" and status == 0 then return nil end
  return child.text
end

-- The includes of a candidate as a precompiled header, without which compilers spend three quarters of
-- their time on immintrin.h. Nil if the compiler does not care for it.
local function header(b, c)
  local text = "#include <string.h>\n"
  for line in c.code:gmatch("(#include <[%w_./]+>)\n") do text = text .. line .. "\n" end
  local key = hash(text .. c.cflags .. b.compiler)
  if b.headers[key] == nil then
    local path = ("%s/%s.h"):format(b.folder, key)
    if not linux.exists(path .. ".gch") then
      if not linux.exists(path) then write(path, text) end -- clang refuses a header newer than what it compiled
      local draft = draft_of(path)
      if not run(command(b, c, { "-x", "c-header", path, "-o", draft })) then linux.rename(draft, path .. ".gch") end
    end
    b.headers[key] = linux.exists(path .. ".gch") and path or false
  end
  return b.headers[key] or nil
end

local function first_error(text, path)
  local line = text:match("[^\n]*error:[^\n]*") or text:match("[^\n]+") or "no message"
  return (line:gsub(path, "candidate.c", 1):sub(1, 200))
end

-- Interrupted compilers are no failures of their candidates.
local function finish(b, job)
  local kind, status = linux.reap(job.child)
  local c = job.candidate
  if kind == "exit" and status == 0 and linux.rename(job.draft, c.so_path) then c.so = c.so_path
  elseif kind == "exit" and status == 127 then error(("no compiler: '%s' cannot be run"):format(b.cc[1]), 0)
  else c.failed = "compile: " .. first_error(job.child.text, job.path:gsub("%p", "%%%0")) end
end

local function start(b, c)
  local path = c.so_path:gsub("so$", "c")
  write(path, c.code)
  local draft = draft_of(c.so_path)
  local tail = { "-shared", path, "-o", draft }
  local pre = header(b, c)
  if pre then table.insert(tail, 1, "-include") table.insert(tail, 2, pre) end
  return { candidate = c, path = path, draft = draft, late = linux.now() + patience,
    child = linux.spawn(command(b, c, tail), true) }
end

local function children_of(running)
  local list = {}
  for i, job in ipairs(running) do list[i] = job.child end
  return list
end

-- Compiles candidates that have no c.so yet, in order, until the deadline or Ctrl-C: those left have neither
-- c.so nor c.failed. progress(done, total) is called as they come.
function build.all(b, candidates, deadline, progress)
  local queue, running, done = {}, {}, 0
  for _, c in ipairs(candidates) do
    if not c.so and not c.failed then
      c.so_path = ("%s/%s.so"):format(b.folder, hash(c.code .. c.cflags .. table.concat(flags) .. b.compiler))
      if linux.exists(c.so_path) then c.so = c.so_path else queue[#queue + 1] = c end
    end
  end
  local total, taken = #queue, 0
  while (taken < total and linux.now() < deadline and not linux.interrupted()) or #running > 0 do
    while #running < b.jobs and taken < total and linux.now() < deadline and not linux.interrupted() do
      taken = taken + 1
      running[#running + 1] = start(b, queue[taken])
    end
    linux.wait(children_of(running), linux.now() + 0.5)
    for i = #running, 1, -1 do
      if running[i].child.ended then
        finish(b, running[i])
        table.remove(running, i)
        done = done + 1
        if progress then progress(done, total) end
      elseif linux.interrupted() or linux.now() > running[i].late then
        linux.reap(running[i].child, true)
        if not linux.interrupted() then running[i].candidate.failed = "compile: timeout" end
        table.remove(running, i)
      end
    end
  end
end

return build
