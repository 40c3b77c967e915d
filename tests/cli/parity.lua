-- Compares a tritune binary with the reference outputs of the embedded model.
-- luajit parity.lua TRITUNE PROJECT_ROOT; tolerances as tests/model/README.md explains them.

local cjson = require "cjson"

local tritune, root = arg[1], arg[2]
local model = root .. "/tests/model/tiny-tales-i2_s.gguf"
local failures = 0

local function check(good, ...)
  if good then return end
  failures = failures + 1
  print("FAILED: " .. string.format(...))
end

local function read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local text = f:read("*a")
  f:close()
  return text
end

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function json_of(...)
  local words = {quote(tritune)}
  for _, word in ipairs {...} do words[#words + 1] = quote(word) end
  local p = assert(io.popen(table.concat(words, " ")))
  local text = p:read("*a")
  p:close()
  local good, value = pcall(cjson.decode, text)
  if not good then error("no JSON from " .. table.concat(words, " "), 0) end
  return value
end

local function same(a, b, from, to)
  for i = from, to do if a[i] ~= b[i] then return false end end
  return true
end

-- Greedy steps up to the first whose margin is too small to be certain of.
local function certain(margins)
  for i, margin in ipairs(margins) do if margin < 0.3 then return i - 1 end end
  return #margins
end

local function distance(logits, case)
  local most = math.abs(logits[case.argmax + 1] - case.max_logit)
  for i, expected in ipairs(case.first_32_logits) do
    most = math.max(most, math.abs(logits[i] - expected))
  end
  return most
end

local reference = cjson.decode(read(root .. "/tests/model/reference.json"))

local function check_case(path, case)
  local found = json_of("logits", "-m", path, "-p", case.prompt, "--greedy", tostring(#case.greedy_ids), "--json")
  local sure = certain(case.greedy_margins)
  check(#found.tokens == #case.ids and same(found.tokens, case.ids, 1, #case.ids), "ids of %q", case.prompt)
  local d = distance(found.logits, case)
  check(d <= 0.2, "logits of %q: %g off, at most 0.2 allowed", case.prompt, d)
  check(found.argmax == found.greedy[1] and #found.greedy == #case.greedy_ids, "greedy ids of %q", case.prompt)
  check(same(found.greedy, case.greedy_ids, 1, sure), "greedy text of %q within %d certain steps", case.prompt, sure)
  print(string.format("%q: logits within %.1e, %d greedy steps", case.prompt, d, sure))
  return d, sure
end

local function check_model(path, least_close)
  local close, steps = 0, 0
  for _, case in ipairs(reference.prompts) do
    local d, sure = check_case(path, case)
    if d <= 2e-3 then close = close + 1 end
    steps = steps + sure
  end
  check(close >= least_close, "logits within 2e-3: expected for at least %d prompts, found %d", least_close, close)
  check(steps > 0, "no greedy step was certain")
end

check_model(model, 2)

-- The model in other forms. Scales of TQ2_0 are rounded to halves, so logits are not as close; the master weights of a
-- folder of Hugging Face are quantised while they are loaded.
for _, other in ipairs {{"tiny-tales-tq2_0.gguf", "tiny-tales-tq2_0.gguf", 0}, {"hf", "hf/model.safetensors", 2}} do
  local place = root .. "/../shared/model/"
  if read(place .. other[2]) then
    print(other[1] .. ":")
    check_model(place .. other[1], other[3])
  else
    print("skipped the model in another form: ../shared/model/" .. other[1] .. " is not there")
  end
end

local held_out = root .. "/../shared/model/heldout.txt"
if read(held_out) then
  local found = json_of("perplexity", "-m", model, "-f", held_out, "--reference", "--json")
  check(found.tokens == reference.held_out_tokens, "held-out tokens: %d, expected %d", found.tokens,
    reference.held_out_tokens)
  local off = math.abs(found.nll - reference.held_out_nll)
  check(off <= 0.002, "held-out loss: %.6f, expected %.6f", found.nll, reference.held_out_nll)
  print(string.format("held-out loss within %.1e", off))
else
  print("skipped the held-out loss: ../shared/model/heldout.txt is not there")
end
os.exit(failures == 0 and 0 or 1)
