-- sizes: the shapes of models by name, read from runtime/model/sizes.c, their one home, and what follows from a shape:
-- ternary weights, embedding, and the bytes that decoding a token reads at least.

local sizes = {}

-- The fields of a line of that table, in order.
local fields = { "name", "arch", "hidden", "layers", "heads", "kv_heads", "head_dim", "ffn", "vocab", "rope_theta",
  "norm_eps", "context", "head", "norms_in" }

sizes.trit = math.log(3) / math.log(2) -- bits of a weight where its three values are equally likely

local function shape_of(line)
  local inner = line:match("^%s*{(.*)},%s*$")
  if not inner or not inner:find('^"') then return nil end
  local s, i = {}, 0
  for text in inner:gmatch("[^,]+") do
    i = i + 1
    text = text:match('^%s*"?(.-)"?%s*$')
    if fields[i] then s[fields[i]] = tonumber(text) or text end
  end
  if i ~= #fields then return nil end
  s.head = s.head == "true"
  return s
end

-- All shapes by name. root: the project's folder, with a slash at its end.
function sizes.read(root)
  local path = root .. "runtime/model/sizes.c"
  local f, why = io.open(path, "rb")
  if not f then error("sizes: " .. why, 0) end
  local all = {}
  for line in f:lines() do
    local s = shape_of(line)
    if s then all[s.name] = s end
  end
  f:close()
  if not next(all) then error(path .. ": expected the table of shapes, found none", 0) end
  return all
end

-- Ternary weights: of the seven projections of all layers.
function sizes.ternary(s)
  local q, kv = s.heads * s.head_dim, s.kv_heads * s.head_dim
  return s.layers * (s.hidden * (2 * q + 2 * kv) + 3 * s.hidden * s.ffn)
end

-- Weights of the matrix that makes logits, which is the embedding if there is none of its own.
function sizes.output(s) return s.vocab * s.hidden end

function sizes.embedding(s) return sizes.output(s) * (s.head and 2 or 1) end

-- Bytes that decoding a token reads of weights, at so many bits a ternary weight and a weight of the output.
function sizes.read_per_token(s, bits, output_bits)
  return (sizes.ternary(s) * bits + sizes.output(s) * output_bits) / 8
end

-- Bytes of the keys and values of a position, at so many bytes a value.
function sizes.position(s, bytes) return 2 * s.layers * s.kv_heads * s.head_dim * bytes end

return sizes
