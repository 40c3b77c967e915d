-- peers: what other programs reached with dense weights, where bench/versus.lua found them faster than tritune in the
-- same rounds: bench/versus-TYPE.json in this machine's results, made by
--   luajit bench/versus.lua --peer NAME=COMMAND --synth 3b ... --json >results/<cpu>/bench/versus-q4_0.json

local json = require "cjson"
local linux = require "linux"
local figures = require "tables.figures"

local peers = {}

local function positive(v) return type(v) == "number" and v > 0 and v < math.huge end

-- The figures of one of versus' rows, if the other program is faster there; nil else, and of what is no such row.
local function faster(row, threads)
  if type(row) ~= "table" or row.verdict ~= "slower" or row.n_threads ~= threads then return nil end
  local test = type(row.test) == "string" and row.test:match("^(%a%a)%d+$")
  local theirs = type(row.theirs) == "table" and type(row.theirs.samples) == "table" and row.theirs.samples
  if not test or not theirs or type(row.peer) ~= "string" then return nil end
  for _, x in ipairs(theirs) do if not positive(x) then return nil end end
  return { phase = test == "tg" and "decode" or "prompt", speed = figures.of(theirs), peer = row.peer, test = row.test }
end

-- { decode, prompt } of the fastest program that beats tritune with weights of `kind` (a lower-case type): each { speed
-- (figures), peer, test }, or nil where there is none or nobody compared.
function peers.faster(folder, kind, threads)
  local text = linux.read(("%s/bench/versus-%s.json"):format(folder, kind))
  local ok, said = pcall(json.decode, text or "null")
  local best = {}
  for _, row in ipairs(ok and type(said) == "table" and type(said.rows) == "table" and said.rows or {}) do
    local f = faster(row, threads)
    local known = f and best[f.phase]
    if f and f.speed and (not known or f.speed.median > known.speed.median) then best[f.phase] = f end
  end
  return best
end

return peers
