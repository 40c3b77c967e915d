-- hash: 62 bits over a text, the same under every Lua (two polynomial hashes, each below 2^53 in between).
-- Tells a kernel that changed from one that did not; no defence against malice.
local byte, format = string.byte, string.format

return function(text)
  local a, b = 17, 23
  for i = 1, #text do
    local c = byte(text, i)
    a = (a * 65599 + c) % 2147483647
    b = (b * 69069 + c) % 2147483629
  end
  return format("%08x%08x", a, b)
end
