-- shapes: what there is to tune: the ternary products of a model, as jobs { role, m, k, weights }. weights: of all
-- its layers, which is what streams past between two calls of the same matrix.

local shapes = {}

shapes.roles = { "qkv", "o", "gate_up", "down" }

-- Public models, and "tiny", the one built into tritune. Also in runtime/model/sizes.c, but for "tiny".
local models = {
  ["2b4t"] = { hidden = 2560, layers = 30, heads = 20, kv = 5, head = 128, ffn = 6912, vocab = 128256 },
  tiny     = { hidden = 256, layers = 6, heads = 4, kv = 2, head = 64, ffn = 1024, vocab = 4096 },
  large    = { hidden = 1536, layers = 24, heads = 16, kv = 16, head = 96, ffn = 4096, vocab = 32002 },
  ["3b"]   = { hidden = 3200, layers = 26, heads = 32, kv = 32, head = 100, ffn = 8640, vocab = 32002 },
  ["llama3-8b"] = { hidden = 4096, layers = 32, heads = 32, kv = 8, head = 128, ffn = 14336, vocab = 128256 },
}
models.large.arch, models["3b"].arch, models["llama3-8b"].arch = "bitnet", "bitnet", "llama" -- else bitnet-b1.58

-- A set: the jobs of one model, the largest first. set.model: its shape as above, for whoever builds one like it; nil
-- where only matrices are known.
local function set(name, layers, sizes)
  local jobs, weights = { name = name }, 0
  for _, role in ipairs(shapes.roles) do weights = weights + layers * sizes[role][1] * sizes[role][2] end
  for _, role in ipairs(shapes.roles) do
    jobs[#jobs + 1] = { model = name, role = role, m = sizes[role][1], k = sizes[role][2], weights = weights }
  end
  table.sort(jobs, function(a, b)
    if a.m * a.k ~= b.m * b.k then return a.m * a.k > b.m * b.k end
    return a.role < b.role
  end)
  return jobs
end

function shapes.known()
  local names = {}
  for name in pairs(models) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

-- "6912x2560": one matrix alone, under the role of a matrix that stands alone.
local function single(text)
  local m, k = text:match("^(%d+)x(%d+)$")
  m, k = tonumber(m), tonumber(k)
  if not m or m < 1 or k < 1 or m > 2 ^ 20 or k > 2 ^ 20 then return nil end
  return { name = text, { model = text, role = "o", m = m, k = k } }
end

-- The sets of "2b4t,tiny,6912x2560", or nil and what is wrong.
function shapes.named(text)
  local sets, seen = {}, {}
  for name in text:gmatch("[^,]+") do
    local m, alone = models[name], single(name)
    if not m and not alone then
      return nil, ("no shapes '%s'; there are %s, and ROWSxCOLUMNS"):format(name, shapes.known())
    end
    if alone and not seen[name] then
      seen[name] = true
      sets[#sets + 1] = alone
    elseif not seen[name] then
      seen[name] = true
      sets[#sets + 1] = set(name, m.layers, { qkv = { (m.heads + 2 * m.kv) * m.head, m.hidden },
        o = { m.hidden, m.heads * m.head }, gate_up = { 2 * m.ffn, m.hidden }, down = { m.hidden, m.ffn } })
      sets[#sets].model = m
    end
  end
  if #sets == 0 then return nil, "no shapes named; there are " .. shapes.known() end
  return sets
end

-- -- GGUF: only as far as the shapes of its tensors ----------------------------------------------------------

local UINT32 = 4
local scalar_bytes = { [0] = 1, 1, 2, 2, 4, 4, 4, 1, [10] = 8, [11] = 8, [12] = 8 }
local STRING, ARRAY, MOST_STRING = 8, 9, 65536

local function reader(path)
  local f, why = io.open(path, "rb")
  if not f then error(why, 0) end
  local size = f:seek("end")
  if not size or not f:seek("set", 0) then error(path .. ": cannot be searched; expected a file", 0) end
  local r, at = {}, 0
  function r.fail(what) error(("%s: offset %d: %s; expected a GGUF file"):format(path, at, what), 0) end
  function r.skip(n)
    if n > size - at then r.fail(("%.0f bytes announced, %.0f left"):format(n, size - at)) end
    at = at + n
    f:seek("set", at)
  end
  function r.bytes(n)
    if n > size - at then r.fail(("%.0f bytes announced, %.0f left"):format(n, size - at)) end
    at = at + n
    return n == 0 and "" or f:read(n) or r.fail("cannot be read")
  end
  function r.integer(n)
    local value, text = 0, r.bytes(n)
    for i = n, 1, -1 do value = value * 256 + text:byte(i) end
    return value
  end
  function r.string()
    local n = r.integer(8)
    if n > MOST_STRING then r.fail(("a name of %.0f bytes"):format(n)) end
    return r.bytes(n)
  end
  function r.close() f:close() end
  return r
end

local function skip_value(r, kind)
  if kind == STRING then return r.skip(r.integer(8)) end
  if kind ~= ARRAY then return r.skip(scalar_bytes[kind] or r.fail("value type " .. kind)) end
  local element, count = r.integer(4), r.integer(8)
  if scalar_bytes[element] then return r.skip(scalar_bytes[element] * count) end
  if element ~= STRING then r.fail("an array of type " .. element) end
  for _ = 1, count do r.skip(r.integer(8)) end
end

-- { ["blk.0.attn_q.weight"] = { k, m }, ... }: the tensors of two dimensions; and the keys that are numbers or words.
local function contents(r)
  if r.bytes(4) ~= "GGUF" then r.fail("no magic") end
  local version = r.integer(4)
  if version ~= 2 and version ~= 3 then r.fail("version " .. version) end
  local count, keys, found, value = r.integer(8), r.integer(8), {}, {}
  for _ = 1, keys do
    local key, kind = r.string(), r.integer(4)
    if kind == UINT32 then value[key] = r.integer(4)
    elseif key == "general.architecture" and kind == STRING then value[key] = r.string()
    else skip_value(r, kind) end
  end
  for _ = 1, count do
    local name, n, dims = r.string(), r.integer(4), {}
    if n < 1 or n > 4 then r.fail(n .. " dimensions") end
    for i = 1, n do dims[i] = r.integer(8) end
    r.skip(12)
    if n == 2 then found[name] = dims end
  end
  return found, value
end

-- A file's shape as in `models`, or nil if its keys do not say it.
local function model_of(found, value, layers, sizes)
  local arch, embedding = value["general.architecture"], found["token_embd.weight"]
  local function key(name) return value[("%s.%s"):format(arch, name)] end
  local hidden, heads = sizes.qkv[2], key "attention.head_count"
  if not (arch and heads and embedding) then return nil end
  return { hidden = hidden, layers = layers, heads = heads, kv = key "attention.head_count_kv" or heads,
    head = key "attention.key_length" or hidden / heads, ffn = sizes.down[2], vocab = embedding[2], arch = arch }
end

local function rows_of(found, layer, names)
  local m, k = 0, nil
  for _, name in ipairs(names) do
    local full = ("blk.%d.%s.weight"):format(layer, name)
    local t = found[full] or error("no tensor " .. full, 0)
    if math.min(t[1], t[2]) < 1 or math.max(t[1], t[2]) > 2 ^ 20 then error(full .. ": shape out of bounds", 0) end
    if k and k ~= t[1] then error(full .. ": its columns are not those of its neighbours", 0) end
    m, k = m + t[2], t[1]
  end
  return { m, k }
end

-- The set of a model file, or nil and what is wrong with it.
function shapes.of_file(path)
  local ok, result = pcall(function()
    local r = reader(path)
    local found, value = contents(r)
    r.close()
    local layers = 0
    while found[("blk.%d.attn_q.weight"):format(layers)] do layers = layers + 1 end
    local fine, sizes = pcall(function()
      return { qkv = rows_of(found, 0, { "attn_q", "attn_k", "attn_v" }), o = rows_of(found, 0, { "attn_output" }),
        gate_up = rows_of(found, 0, { "ffn_gate", "ffn_up" }), down = rows_of(found, 0, { "ffn_down" }) }
    end)
    if not fine then error(path .. ": " .. sizes .. "; expected a model of the bitnet family", 0) end
    local one = set(path:match("[^/]*$"), layers, sizes)
    one.model = model_of(found, value, layers, sizes)
    return { one }
  end)
  if ok then return result end
  return nil, tostring(result)
end

return shapes
