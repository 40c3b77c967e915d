-- peer: another program that measures models as llama-bench does: the words that run it, and the rows that it prints,
-- as JSON, a JSON object a line, or a Markdown table. Starts nothing.

local cjson = require "cjson"

local peer = {}

-- Words of a command as a shell would cut it: blanks, quotes and backslashes; nil and why.
function peer.words(text)
  local words, word, quote, i = {}, nil, nil, 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == "\\" and quote ~= "'" then
      i = i + 1
      word = (word or "") .. text:sub(i, i)
    elseif quote then
      if c == quote then quote = nil else word = word .. c end
    elseif c == "'" or c == '"' then quote, word = c, word or ""
    elseif not c:find("%s") then word = (word or "") .. c
    elseif word then words[#words + 1], word = word, nil end
    i = i + 1
  end
  if quote then return nil, ("a quote %s is not closed"):format(quote) end
  words[#words + 1] = word
  if #words == 0 then return nil, "there is no program" end
  return words
end

local function among(words, short, long)
  for _, word in ipairs(words) do
    if word == short or word == long then return true end
  end
  return false
end

-- What is run for a test { prompt, gen, threads }: the command with its {model}, then what it does not say itself.
-- model: a file; nil: the command names its own.
function peer.command(words, model, test)
  local run, placed = {}, false
  for i, word in ipairs(words) do
    run[i] = word:gsub("{model}", function()
      placed = true
      return model
    end)
  end
  local function add(short, long, value)
    if among(words, short, long) then return end
    run[#run + 1] = short
    run[#run + 1] = value
  end
  if model and not placed then add("-m", "--model", model) end
  add("-p", "--n-prompt", tostring(test.prompt))
  add("-n", "--n-gen", tostring(test.gen))
  add("-t", "--threads", tostring(test.threads))
  add("-r", "--repetitions", "1")
  add("-o", "--output", "json")
  return run
end

-- -- what it prints ---------------------------------------------------------------------------------------------

local function number(value)
  local n = tonumber(value)
  return n and n == n and math.abs(n) < math.huge and n or nil
end

-- A row by llama-bench's keys: { prompt, gen, threads, depth, ts, params, bytes, type }; nil of what is none.
local function row_of(object)
  if type(object) ~= "table" then return nil end
  local prompt, gen = number(object.n_prompt), number(object.n_gen)
  local threads, ts = number(object.n_threads), number(object.avg_ts)
  if not (prompt and gen and threads and ts) then return nil end
  return { prompt = prompt, gen = gen, threads = threads, depth = number(object.n_depth) or 0, ts = ts,
    params = number(object.model_n_params), bytes = number(object.model_size),
    type = type(object.model_type) == "string" and object.model_type or nil }
end

local function of_array(text)
  local from = text:find("%[%s*{")
  local ok, list = pcall(cjson.decode, from and text:sub(from):match("^.*%]") or "")
  local rows = {}
  for _, object in ipairs(ok and type(list) == "table" and list or {}) do rows[#rows + 1] = row_of(object) end
  return rows
end

local function of_lines(text)
  local rows = {}
  for line in text:gmatch("[^\n]+") do
    local ok, object = pcall(cjson.decode, line:match("^%s*({.*})%s*$") or "")
    rows[#rows + 1] = ok and row_of(object) or nil
  end
  return rows
end

local function cells(line)
  local list = {}
  for cell in line:match("^%s*|(.*)$"):gmatch("%s*([^|]-)%s*|") do list[#list + 1] = cell end
  return list
end

local powers = { K = 1e3, M = 1e6, B = 1e9, T = 1e12, KiB = 2 ^ 10, MiB = 2 ^ 20, GiB = 2 ^ 30, TiB = 2 ^ 40 }

local function quantity(text)
  local n, unit = (text or ""):match("^([%d.]+)%s*(%a*)$")
  return n and tonumber(n) and powers[unit] and tonumber(n) * powers[unit] or nil
end

local function row_of_cells(by_name)
  local kind, count, depth = (by_name.test or ""):match("^(%a%a)(%d+)%s*@?%s*d?(%d*)$")
  if kind ~= "pp" and kind ~= "tg" then return nil end
  return row_of { n_prompt = kind == "pp" and count or 0, n_gen = kind == "tg" and count or 0,
    n_depth = depth ~= "" and depth or 0, n_threads = by_name.threads,
    avg_ts = (by_name["t/s"] or ""):match("^[%d.]+"), model_n_params = quantity(by_name.params),
    model_size = quantity(by_name.size), model_type = by_name.model }
end

local function of_table(text)
  local rows, names = {}, nil
  for line in text:gmatch("[^\n]+") do
    if line:find("^%s*|") then
      local list = cells(line)
      local by_name = {}
      for i, name in ipairs(names or {}) do by_name[name] = list[i] end
      names = names or list
      rows[#rows + 1] = row_of_cells(by_name)
    end
  end
  return rows
end

-- All rows that a text holds, in whichever form it has them; {} if it has none.
function peer.rows(text)
  for _, read in ipairs { of_array, of_lines, of_table } do
    local rows = read(text)
    if #rows > 0 then return rows end
  end
  return {}
end

-- The row of a prompt (or else of decoding) as asked for, and nothing in the cache before; nil and why there is none.
function peer.row(rows, test, prompt)
  local what = ("%s%d with %d threads"):format(prompt and "pp" or "tg", prompt and test.prompt or test.gen,
    test.threads)
  for _, r in ipairs(rows) do
    if r.prompt == (prompt and test.prompt or 0) and r.gen == (prompt and 0 or test.gen) and r.depth == 0 and
      r.threads == test.threads then
      if r.ts > 0 then return r end
      return nil, ("its %s says %g tokens a second"):format(what, r.ts)
    end
  end
  return nil, ("expected a row of %s, found %s"):format(what,
    #rows == 0 and "no row at all" or ("%d rows of other tests"):format(#rows))
end

-- The last lines of what a program said, for whoever must find out what went wrong.
function peer.last_lines(text, count)
  local lines = {}
  for line in text:gmatch("[^\r\n]+") do
    if line:find("%S") then lines[#lines + 1] = line:gsub("%c", " "):sub(1, 200) end
  end
  local last = {}
  for i = math.max(1, #lines - count + 1), #lines do last[#last + 1] = lines[i] end
  return last
end

return peer
