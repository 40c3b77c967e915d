-- Writes a Llama's GGUF file of I2_S matrices as Hugging Face's library would have saved the model: config.json,
-- tokenizer.json, tokenizer_config.json, model.safetensors. luajit huggingface.lua FILE FOLDER packed|floats

local cjson, ffi = require "cjson", require "ffi"

local source, folder, form = arg[1], arg[2], arg[3]

-- -- GGUF -----------------------------------------------------------------------------------------------

local data = assert(io.open(source, "rb")):read("*a")
local base, at = ffi.cast("const uint8_t *", data), 24

local function number(ctype)
  local value = ffi.new(ctype .. "[1]")
  ffi.copy(value, base + at, ffi.sizeof(value))
  at = at + ffi.sizeof(value)
  return tonumber(value[0])
end

local function text()
  local size = number "uint64_t"
  at = at + size
  return data:sub(at - size + 1, at)
end

local types = {[0] = "uint8_t", "int8_t", "uint16_t", "int16_t", "uint32_t", "int32_t", "float", "uint8_t", nil, nil,
               "uint64_t", "int64_t", "double"}

local function value(kind)
  if kind == 8 then return text() end
  if kind ~= 9 then return number(types[kind]) end
  local element, list = number "uint32_t", {}
  for i = 1, number "uint64_t" do list[i] = value(element) end
  return list
end

local function read()
  at = 8
  local count, keys, tensors = number "uint64_t", {}, {}
  for _ = 1, number "uint64_t" do
    local name = text()
    keys[name] = value(number "uint32_t")
  end
  for i = 1, count do
    local t = {name = text(), ne = {}}
    for d = 1, number "uint32_t" do t.ne[d] = number "uint64_t" end
    t.kind, t.offset = number "uint32_t", number "uint64_t"
    tensors[i] = t
  end
  local start = math.ceil(at / 32) * 32
  for _, t in ipairs(tensors) do t.offset = t.offset + start end
  return keys, tensors
end

local keys, tensors = read()
local arch = keys["general.architecture"]
local function key(name) return keys[arch .. "." .. name] end
local heads = key "attention.head_count"
local head_dim = key "attention.key_length" or key "embedding_length" / heads

-- -- matrices -------------------------------------------------------------------------------------------

-- Codes (0, 1, 2) of row r, from 0, of groups of 128 in 32 bytes.
local function codes_of(t)
  local codes = ffi.new("uint8_t[?]", t.ne[1] * t.ne[2])
  for i = 0, t.ne[1] * t.ne[2] - 1 do
    local j = i % 128
    local byte = base[t.offset + (i - j) / 4 + j % 32]
    codes[i] = bit.band(bit.rshift(byte, 6 - 2 * math.floor(j / 32)), 3)
  end
  return codes
end

-- The row of GGUF that Hugging Face has as row r: Llama's converter put pairs of the rotary embedding side by side.
local function row_of(t, r)
  if not (t.name:find "attn_q" or t.name:find "attn_k") then return r end
  local i, half = r % head_dim, head_dim / 2
  return r - i + (i < half and 2 * i or 2 * (i - half) + 1)
end

local function scale_of(t) return ffi.cast("const float *", base + t.offset + t.ne[1] * t.ne[2] / 4)[0] end

local function packed(t)
  local k, rows, codes = t.ne[1], t.ne[2], codes_of(t)
  local quarter = rows / 4
  local out = ffi.new("uint8_t[?]", k * quarter)
  for r = 0, rows - 1 do
    local from, to, shift = row_of(t, r) * k, r % quarter * k, 2 * math.floor(r / quarter)
    for i = 0, k - 1 do out[to + i] = bit.bor(out[to + i], bit.lshift(codes[from + i], shift)) end
  end
  return ffi.string(out, k * quarter)
end

local function floats(t)
  local k, rows, codes, scale = t.ne[1], t.ne[2], codes_of(t), scale_of(t)
  local out = ffi.new("float[?]", k * rows)
  for r = 0, rows - 1 do
    for i = 0, k - 1 do out[r * k + i] = (codes[row_of(t, r) * k + i] - 1) * scale end
  end
  return ffi.string(out, 4 * k * rows)
end

-- -- safetensors ----------------------------------------------------------------------------------------

local modules = {token_embd = "model.embed_tokens", output_norm = "model.norm", output = "lm_head",
  attn_q = "self_attn.q_proj", attn_k = "self_attn.k_proj", attn_v = "self_attn.v_proj",
  attn_output = "self_attn.o_proj", ffn_gate = "mlp.gate_proj", ffn_up = "mlp.up_proj", ffn_down = "mlp.down_proj",
  attn_norm = "input_layernorm", ffn_norm = "post_attention_layernorm"}

local function name_of(t)
  local layer, part = t.name:match "^blk%.(%d+)%.([%w_]+)%.weight$"
  if layer then return ("model.layers.%s.%s.weight"):format(layer, modules[part]) end
  return modules[t.name:match "^[%w_]+"] .. ".weight"
end

local header, pieces, size = {}, {}, 0
local function add(name, dtype, shape, bytes)
  header[name] = {dtype = dtype, shape = shape, data_offsets = {size, size + #bytes}}
  pieces[#pieces + 1] = bytes
  size = size + #bytes
end

local function add_tensor(t)
  local name, shape, n = name_of(t), {t.ne[2] or t.ne[1], t.ne[2] and t.ne[1]}, t.ne[1] * (t.ne[2] or 1)
  if t.kind < 2 then
    add(name, t.kind == 0 and "F32" or "F16", shape, data:sub(t.offset + 1, t.offset + n * (t.kind == 0 and 4 or 2)))
  elseif form == "packed" then
    add(name, "U8", {t.ne[2] / 4, t.ne[1]}, packed(t))
    add(name .. "_scale", "F32", {1}, ffi.string(ffi.new("float[1]", scale_of(t)), 4))
  else
    add(name, "F32", shape, floats(t))
  end
end

-- -- the folder -----------------------------------------------------------------------------------------

local function save(name, bytes)
  local f = assert(io.open(folder .. "/" .. name, "wb"))
  assert(f:write(bytes))
  f:close()
end

local function config()
  local c = {architectures = {"LlamaForCausalLM"}, hidden_act = "silu", hidden_size = key "embedding_length",
    num_hidden_layers = key "block_count", num_attention_heads = heads, head_dim = head_dim,
    num_key_value_heads = key "attention.head_count_kv", intermediate_size = key "feed_forward_length",
    vocab_size = #keys["tokenizer.ggml.tokens"], max_position_embeddings = key "context_length",
    rms_norm_eps = key "attention.layer_norm_rms_epsilon", rope_theta = key "rope.freq_base" or 10000,
    tie_word_embeddings = not header["lm_head.weight"]}
  if form == "packed" then -- scales that are multiplied: an inverse is not exact
    c.quantization_config = {quant_method = "bitnet", linear_class = "autobitlinear", quantization_mode = "offline",
      modules_to_not_convert = {"lm_head"}}
  end
  return c
end

local function tokenizer()
  local added, vocab = {}, {}
  for i, token in ipairs(keys["tokenizer.ggml.tokens"]) do
    if keys["tokenizer.ggml.token_type"][i] == 1 then vocab[token] = i - 1
    else added[#added + 1] = {id = i - 1, content = token, special = true, normalized = false} end
  end
  return {version = "1.0", added_tokens = added, pre_tokenizer = {type = "ByteLevel", add_prefix_space = false,
    trim_offsets = true, use_regex = true}, decoder = {type = "ByteLevel"},
    model = {type = "BPE", vocab = vocab, merges = keys["tokenizer.ggml.merges"]}}
end

for _, t in ipairs(tensors) do add_tensor(t) end
local json = cjson.encode(header)
local length = ffi.new("uint64_t[1]", #json)
save("model.safetensors", ffi.string(length, 8) .. json .. table.concat(pieces))
save("config.json", cjson.encode(config()))
save("tokenizer.json", cjson.encode(tokenizer()))
local bos = keys["tokenizer.ggml.tokens"][keys["tokenizer.ggml.bos_token_id"] + 1]
save("tokenizer_config.json", cjson.encode {bos_token = bos, add_bos_token = true})
