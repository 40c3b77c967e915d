-- count: what a JUnit file of CTest says: "PASSED FAILED SKIPPED" on the first line, then for people, one
-- line for each test skipped (and why) and the end of the output of each that failed.
local f = io.open(arg[1] or "", "rb")
if not f then
  print "0 1 0"
  print("FAILED: no report of the tests at " .. tostring(arg[1]))
  os.exit(0)
end
local xml = f:read "*a"
f:close()

local entities = { lt = "<", gt = ">", quot = '"', apos = "'", amp = "&" }
local function plain(text)
  return (text:gsub("&#x?0*[aAdD0-9]+;", "\n"):gsub("&(%a+);", entities):gsub("\27%[[%d;]*m", ""))
end

-- The last `n` lines with something on them.
local function tail(text, n)
  local lines = {}
  for line in text:gmatch "[^\r\n]+" do lines[#lines + 1] = line end
  return { unpack(lines, math.max(1, #lines - n + 1)) }
end

local passed, failed, skipped, said = 0, 0, 0, {}
for attributes, body in xml:gmatch "<testcase (.-)>(.-)</testcase>" do
  local name, status = attributes:match 'name="(.-)"', attributes:match 'status="(.-)"'
  local output = plain(body:match "<system%-out>(.-)</system%-out>" or "")
  if status == "run" then
    passed = passed + 1
    for line in output:gmatch "[^\r\n]+" do
      if line:match "^skipped" then said[#said + 1] = "in part " .. name .. ": " .. line end
    end
  elseif status == "fail" then
    failed = failed + 1
    said[#said + 1] = "FAILED " .. name .. ", which ended with:"
    for _, line in ipairs(tail(output, 20)) do said[#said + 1] = "  | " .. line end
  else
    skipped = skipped + 1
    local why = tail(output, 1)[1] or plain(body):match 'message="(.-)"' or status
    said[#said + 1] = ("skipped %s: %s"):format(name, why)
  end
end
print(passed .. " " .. failed .. " " .. skipped)
for _, line in ipairs(said) do print(line) end
