-- count: what a JUnit file of CTest says: "PASSED FAILED SKIPPED" on the first line, then for people, one
-- line for each test skipped, in whole or in part, with its reason, and the telling lines of each that failed.
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

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\r\n]+" do lines[#lines + 1] = line end
  return lines
end

-- What a person wants to see of a failure: twelve lines from the first that says so, or the last twelve.
local function telling(lines)
  local first = math.max(1, #lines - 11)
  for i, line in ipairs(lines) do
    if line:match "^not ok" or line:match "FAIL" or line:match "runtime error" then first = math.min(first, i) end
  end
  return { unpack(lines, first, math.min(first + 11, #lines)) }
end

local passed, failed, skipped, said = 0, 0, 0, {}
for attributes, body in xml:gmatch "<testcase (.-)>(.-)</testcase>" do
  local name, status = attributes:match 'name="(.-)"', attributes:match 'status="(.-)"'
  local output = lines_of(plain(body:match "<system%-out>(.-)</system%-out>" or ""))
  if status == "run" then
    passed = passed + 1
    for _, line in ipairs(output) do
      local words = "in part " .. name .. ": " .. line
      if line:match "^skipped" and said[#said] ~= words then said[#said + 1] = words end
    end
  elseif status == "fail" then
    failed = failed + 1
    said[#said + 1] = "FAILED " .. name .. ":"
    for _, line in ipairs(telling(output)) do said[#said + 1] = "  | " .. line end
  else
    skipped = skipped + 1
    local why = output[#output] or plain(body):match 'message="(.-)"' or status
    said[#said + 1] = ("skipped %s: %s"):format(name, why)
  end
end
print(passed .. " " .. failed .. " " .. skipped)
for _, line in ipairs(said) do print(line) end
