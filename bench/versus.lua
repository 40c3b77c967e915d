-- versus: tritune beside other programs on one machine, in turns, round by round: tokens a second of prompts and of
-- decoding, and the ratios with their bounds. The other programs are the user's, and measure as llama-bench does.
--   luajit bench/versus.lua --peer NAME=COMMAND [--peer ...] [--model FILE | --synth SIZE] [-p N] [-n N] [-t N,...]

local here = arg[0]:match("^(.*/)[^/]*$") or "./"
package.path = here .. "?.lua;" .. here .. "../tune/?.lua;" .. here .. "../gen/?.lua;" .. package.path

local program = require "program"
local FAILED, USAGE, INTERRUPTED = program.FAILED, program.USAGE, program.INTERRUPTED
local this = program.new("bench", "versus")
local die = this.die

local cjson = require "cjson"
local host = require "host"
local linux = require "linux"
local machine = require "machine"
local screen = require "screen"
local peer = require "peer"
local comparison = require "comparison"

local most_lines = 5       -- of a peer that failed
local most_text = 64 * 2 ^ 20 -- bytes that a program may print
local slack = 1.05         -- how much more than its own time a program's figures may add up to

-- -- options ---------------------------------------------------------------------------------------------------

local function whole(name, least, most)
  return function(text)
    local n = tonumber(text)
    if n and n % 1 == 0 and n >= least and n <= most then return n end
    return nil, ("%s: expected a whole number from %d to %d, found '%s'"):format(name, least, most, text)
  end
end

local function threads_of(text)
  local list, one = {}, whole("-t", 1, 4096)
  for word in (text .. ","):gmatch("([^,]*),") do
    local n, why = one(word)
    if not n then return nil, why end
    list[#list + 1] = n
  end
  return list
end

local function peer_of(text)
  local name, command = text:match("^([%w_.+-]+)=(.+)$")
  if not name then return nil, ("--peer: expected NAME=COMMAND, found '%s'"):format(text) end
  local words, why = peer.words(command)
  if not words then return nil, ("--peer %s: %s"):format(name, why) end
  return { name = name, words = words }
end

-- What follows --options may begin with a dash, which argparse takes for an option of its own.
local function joined(words)
  local out, i = {}, 1
  while words[i] do
    local value = words[i] == "--options" and words[i + 1]
    out[#out + 1] = value and "--options=" .. value or words[i]
    i = i + (value and 2 or 1)
  end
  return out
end

local function words_of(text)
  if not text:find("%S") then return {} end
  local words, why = peer.words(text)
  return words, why and "--options: " .. why
end

local function parsed()
  local parser = this.parser("Measures tritune beside other programs, in turns.")
  parser:option("--peer", "A program to compare with, as often as you like: NAME=COMMAND. {model} in it stands for "
    .. "the model; what it does not say of -m, -p, -n, -t, -r and -o is put behind it."):args(1):count("+")
    :argname("NAME=COMMAND"):convert(peer_of)
  parser:mutex(parser:option("-m --model", "Model file, of both sides; a peer's command may name another of its own."),
    parser:option("--synth", "Random weights of this shape for ours; each peer's command names its own file."))
  parser:option("--options", "More options of `tritune bench`, in one word."):default(""):convert(words_of)
  parser:option("-p --n-prompt", "Tokens of the prompt; 0: none."):default("512"):convert(whole("-p", 0, 2 ^ 20))
  parser:option("-n --n-gen", "Tokens to decode; 0: none."):default("128"):convert(whole("-n", 0, 2 ^ 20))
  parser:option("-t --threads", "Threads, several with commas (default: one for each CPU).")
    :default(tostring(math.max(1, machine.facts().cores))):convert(threads_of)
  parser:option("-r --rounds", "Rounds; each runs every program once."):default("5"):convert(whole("-r", 1, 10000))
  parser:flag("--no-warmup", "Count the first round, which else only brings files and caches into memory.")
  parser:option("--timeout", "Seconds that one run may take."):default("600"):convert(whole("--timeout", 1, 86400))
  parser:option("--tritune", "The program to measure."):default(host.root .. "build/tritune")
  parser:flag("--json", "One object, for programs.")
  return parser:parse(joined(arg))
end

local function readable(path, what)
  local f, why = io.open(path, "rb")
  if not f then die(USAGE, "%s: %s", what, why) end
  f:close()
end

local function options()
  local o, seen = parsed(), { tritune = true }
  if o.n_prompt == 0 and o.n_gen == 0 then die(USAGE, "-p 0 and -n 0 ask for nothing: expected one above 0") end
  for _, p in ipairs(o.peer) do
    if seen[p.name] then die(USAGE, "--peer %s: expected names that differ, and not 'tritune'", p.name) end
    seen[p.name] = true
    if not o.model and table.concat(p.words, "\0"):find("{model}", 1, true) then
      die(USAGE, "--peer %s holds {model}: give --model FILE, or name a file in its command", p.name)
    end
  end
  if o.model then readable(o.model, "--model") end
  readable(o.tritune, "--tritune")
  return o
end

-- -- one run ---------------------------------------------------------------------------------------------------

local function ours_of(o)
  local words = { o.tritune, "bench" }
  if o.synth then
    words[3], words[4] = "--synth", o.synth
  end
  for _, word in ipairs(o.options) do words[#words + 1] = word end
  return { name = "tritune", words = words, ours = true }
end

local function wait(child, deadline)
  while not child.ended and not linux.interrupted() do
    if #child.text > most_text then return ("it printed more than %d MiB"):format(most_text / 2 ^ 20) end
    if not linux.wait({ child }, deadline) then return "time is over" end
  end
end

-- Why a program that ended has failed; nil if it has not.
local function ending(how, code, name)
  if how == "signal" then return ("signal %d ended it"):format(code) end
  if code == 127 then return ("'%s' cannot be run"):format(name) end
  return code ~= 0 and ("it ended with exit code %d"):format(code) or nil
end

-- Runs words: what they printed, what they said beside that, seconds, and why they failed or nil.
local function run(words, timeout)
  local log = os.tmpname()
  local child = linux.spawn({ "sh", "-c", 'exec "$@" 2>"$0"', log, unpack(words) })
  local from = linux.now()
  local stopped = wait(child, from + timeout)
  local how, code = linux.reap(child, not child.ended)
  local said = linux.read(log) or ""
  os.remove(log)
  if stopped == "time is over" then stopped = ("it was stopped after %d s (--timeout)"):format(timeout) end
  return child.text, said, linux.now() - from, stopped or ending(how, code, words[1])
end

-- Whether the figures take longer than the program ran, warm-ups left out: then they are not its own.
local function overdrawn(found, seconds)
  local sum = 0
  for _, r in pairs(found) do sum = sum + (r.prompt + r.gen) / r.ts end
  if sum <= seconds * slack then return nil end
  return ("its figures take %.2f s, it ran for %.2f s: they cannot be of this run"):format(sum, seconds)
end

-- { pp, tg } of a side: rows as far as asked for; or nil, why, and the last lines of what it said.
local function measured(side, o, threads)
  local test = { prompt = o.n_prompt, gen = o.n_gen, threads = threads }
  local text, said, seconds, why = run(peer.command(side.words, o.model, test), o.timeout)
  local found, rows = {}, peer.rows(text)
  for kind, count in pairs { pp = o.n_prompt, tg = o.n_gen } do
    if count > 0 and not why then found[kind], why = peer.row(rows, test, kind == "pp") end
  end
  why = why or overdrawn(found, seconds)
  if not why then return found end
  return nil, why, peer.last_lines(text .. "\n" .. said, most_lines)
end

-- -- all rounds ------------------------------------------------------------------------------------------------

local function leave_out(b, side, why, lines)
  side.failed = { peer = side.name, reason = why, said = table.concat(lines, "\n") }
  screen.line(b.screen, "versus: %s%s: %s", side.name, side.ours and "" or " is left out", why)
  for _, line in ipairs(lines) do screen.line(b.screen, "  | %s", line) end
end

local function keep(side, found, threads)
  for kind, row in pairs(found) do
    local key = kind .. " " .. threads
    side.samples[key] = side.samples[key] or {}
    table.insert(side.samples[key], row.ts)
    side.model = side.model or row
  end
end

-- Round 0 is not counted.
local function turn(b, side, threads, round)
  screen.status(b.screen, { round == 0 and "warm-up" or ("round %d/%d"):format(round, b.o.rounds), side.name,
    threads .. " threads" })
  local found, why, lines = measured(side, b.o, threads)
  if linux.interrupted() then
    b.interrupted = true
  elseif not found then leave_out(b, side, why, lines)
  elseif round > 0 then keep(side, found, threads) end
end

local function living(b)
  local list = {}
  for _, side in ipairs(b.sides) do
    if not side.failed then list[#list + 1] = side end
  end
  return list
end

-- Every other round runs backwards, so that no side always has what another left behind.
local function round(b, n)
  for _, threads in ipairs(b.o.threads) do
    local sides = living(b)
    for i = 1, #sides do
      if b.interrupted or b.sides[1].failed then return end
      turn(b, sides[n % 2 == 1 and i or #sides + 1 - i], threads, n)
    end
  end
end

local function rounds(b)
  for n = b.o.no_warmup and 1 or 0, b.o.rounds do
    if b.interrupted or #living(b) < 2 or b.sides[1].failed then return end
    round(b, n)
  end
end

-- -- what came out ---------------------------------------------------------------------------------------------

local function each_row(b, f)
  for _, side in ipairs(b.sides) do
    for _, kind in ipairs { "pp", "tg" } do
      for _, threads in ipairs(b.o.threads) do
        local key = kind .. " " .. threads
        local c = not side.ours and not side.failed and
          comparison.of(b.sides[1].samples[key] or {}, side.samples[key] or {})
        if c then f(side, kind .. (kind == "pp" and b.o.n_prompt or b.o.n_gen), threads, c) end
      end
    end
  end
end

local function warnings(b)
  local list = {}
  for _, side in ipairs(b.sides) do
    if not side.ours and not side.failed and side.model and b.sides[1].model then
      for _, text in ipairs(comparison.warnings(side.name, b.sides[1].model, side.model)) do list[#list + 1] = text end
    end
  end
  return list
end

local function model_json(side)
  local m = side.model or {}
  return { name = side.name, command = table.concat(side.words, " "), model_type = m.type or cjson.null,
    model_n_params = m.params or cjson.null, model_size = m.bytes or cjson.null }
end

-- An array, even an empty one, which cjson takes for an object.
local function array(list)
  local parts = {}
  for i, value in ipairs(list) do parts[i] = cjson.encode(value) end
  return "[" .. table.concat(parts, ",\n") .. "]"
end

local function json(b)
  local sides, rows, failed = {}, {}, {}
  for i, side in ipairs(b.sides) do
    sides[i] = model_json(side)
    if side.failed then failed[#failed + 1] = side.failed end
  end
  each_row(b, function(side, test, threads, c)
    rows[#rows + 1] = { peer = side.name, test = test, n_threads = threads, rounds = c.rounds, ours = c.ours,
      theirs = c.theirs, ratio = c.ratio, low = c.low, high = c.high, verdict = c.verdict }
  end)
  return ('{"cpu":%s,"n_prompt":%d,"n_gen":%d,"rounds":%d,"interrupted":%s,\n"sides":%s,\n"rows":%s,\n'
    .. '"warnings":%s,\n"failed":%s}\n'):format(cjson.encode(host.cpu()), b.o.n_prompt, b.o.n_gen, b.o.rounds,
    tostring(b.interrupted), array(sides), array(rows), array(warnings(b)), array(failed))
end

local function speed(s) return ("%.2f ± %.1f %%"):format(s.median, 50 * s.spread) end

local function print_table(b)
  print("| peer | test | threads | rounds | tritune t/s | peer t/s | ratio | 95 % bounds | tritune is |")
  print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |")
  each_row(b, function(side, test, threads, c)
    print(("| %s | %s | %d | %d | %s | %s | %.3f | %.3f - %.3f | %s |"):format(side.name, test, threads, c.rounds,
      speed(c.ours), speed(c.theirs), c.ratio, c.low, c.high, c.verdict))
  end)
  print("\nMedians over rounds and half of greatest less least; the ratio is the median of tritune / peer by round.")
end

local function main()
  local o = options()
  linux.catch_interrupts()
  local b = { o = o, sides = { ours_of(o) }, screen = screen.new(), interrupted = false }
  for _, p in ipairs(o.peer) do b.sides[#b.sides + 1] = p end
  for _, side in ipairs(b.sides) do side.samples = {} end
  rounds(b)
  screen.close(b.screen)
  local any = 0
  each_row(b, function() any = any + 1 end)
  if o.json then io.stdout:write(json(b))
  elseif any > 0 then print_table(b) end
  for _, text in ipairs(warnings(b)) do io.stderr:write("versus: ", text, "\n") end
  if b.interrupted then
    io.stderr:write("versus: interrupted; rounds that were not done are not there\n")
    return INTERRUPTED
  end
  return any > 0 and 0 or FAILED
end

os.exit(main())
