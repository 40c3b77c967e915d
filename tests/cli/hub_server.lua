-- hub_server.lua ROOT PORTS LOG: a hub on 127.0.0.1 for pull.sh, and another host beside it, both served from ROOT.
-- Writes its two ports to PORTS and each request to LOG: port, path, range, authorization. How it misbehaves stands in
-- ROOT/mode, read anew for each request of a file; requests of the API are answered from ROOT/listing.json.
local ffi, bit = require "ffi", require "bit"
local root, ports, log = arg[1], arg[2], assert(io.open(arg[3], "w"))
log:setvbuf("line")

ffi.cdef [[
typedef struct { uint16_t family, port; uint32_t host; char zero[8]; } address;
typedef struct { int fd; short events, revents; } wanted;
int socket(int, int, int); int bind(int, const address *, unsigned); int listen(int, int);
int accept(int, void *, unsigned *); int getsockname(int, address *, unsigned *);
long recv(int, void *, size_t, int); long send(int, const void *, size_t, int);
int close(int); int shutdown(int, int); int poll(wanted *, unsigned long, int);
]]
local AF_INET, STREAM, NO_SIGNAL, READABLE, SENDING = 2, 1, 0x4000, 1, 1
local C = ffi.C

local function swap(port) return bit.bor(bit.lshift(bit.band(port, 255), 8), bit.rshift(port, 8)) end

local function open()
    local fd, at, size = C.socket(AF_INET, STREAM, 0), ffi.new "address", ffi.new("unsigned[1]", 16)
    at.family, at.host = AF_INET, 0x0100007f
    assert(C.bind(fd, at, 16) == 0 and C.listen(fd, 16) == 0 and C.getsockname(fd, at, size) == 0)
    return fd, swap(at.port)
end

local function read_all(path)
    local file = io.open(path, "rb")
    local text = file and file:read "*a"
    if file then file:close() end
    return text
end

local function request(fd)
    local buffer, text = ffi.new "char[4096]", ""
    while not text:find "\r\n\r\n" do
        local n = tonumber(C.recv(fd, buffer, 4096, 0))
        if n <= 0 then return end
        text = text .. ffi.string(buffer, n)
    end
    return text:match "^GET (%S+)", text:match "[Rr]ange: bytes=(%d+)-", text:match "[Aa]uthorization: ([^\r]+)"
end

local function send(fd, text)
    while #text > 0 do
        local n = tonumber(C.send(fd, text, #text, NO_SIGNAL))
        if n <= 0 then return end
        text = text:sub(n + 1)
    end
end

local function reply(fd, status, headers, body)
    send(fd, "HTTP/1.1 " .. status .. "\r\nConnection: close\r\n" .. headers .. "\r\n" .. (body or ""))
end

local function length(n) return "Content-Length: " .. n .. "\r\n" end

-- Honest: the whole, or from where the client asks. `cut` bytes of it are really sent.
local function serve(fd, body, from, cut)
    if not from then return reply(fd, "200 OK", length(#body), body:sub(1, cut)) end
    local rest = body:sub(from + 1)
    reply(fd, "206 Partial Content", ("Content-Range: bytes %d-%d/%d\r\n"):format(from, #body - 1, #body) ..
          length(#rest), rest:sub(1, cut))
end

local state = { served = 0, stalled = {} }
local mode = {
    good = function(fd, body, from) serve(fd, body, from) end,
    cut = function(fd, body, from) serve(fd, body, from, 2e6) end, -- each time
    useless = function(fd, body, from) serve(fd, body, from, 0) end,
    whole = function(fd, body) -- knows no ranges; cut once
        state.served = state.served + 1
        serve(fd, body, nil, state.served == 1 and 1e6 or nil)
    end,
    stall = function(fd, body, from) -- once in the middle, the connection stays
        state.served = state.served + 1
        serve(fd, body, from, state.served == 1 and 1e6 or nil)
        return state.served == 1
    end,
    dead = function(fd, body, from) serve(fd, body, from, from and 0 or 1e6) return true end, -- and for ever
    short = function(fd, body) serve(fd, body:sub(1, -1001)) end,
    long = function(fd, body) reply(fd, "200 OK", "", body .. "more") end, -- without a length
    forged = function(fd, body, from) serve(fd, body:sub(1, -2) .. "!", from) end,
    shifted = function(fd, body, from)
        local range = ("Content-Range: bytes %d-%d/%d\r\n"):format((from or 0) + 1, #body - 1, #body)
        reply(fd, "206 Partial Content", range, body)
    end,
    busy = function(fd, body, from)
        state.served = state.served + 1
        if state.served < 3 then return reply(fd, "503 Service Unavailable", length(0)) end
        serve(fd, body, from)
    end,
    patient = function(fd) reply(fd, "429 Too Many Requests", length(0) .. "Retry-After: 3600\r\n") end,
    unsatisfied = function(fd) reply(fd, "416 Range Not Satisfiable", length(0)) end,
    private = function(fd) reply(fd, "401 Unauthorized", length(4), "page") end,
    gated = function(fd) reply(fd, "403 Forbidden", length(4), "page") end,
    gone = function(fd) reply(fd, "404 Not Found", length(4), "page") end,
    away = function(fd, _, _, path)
        reply(fd, "302 Found", ("Location: http://127.0.0.1:%d/elsewhere%s\r\n"):format(state.other, path) .. length(0))
    end,
    circle = function(fd, _, _, path) reply(fd, "302 Found", "Location: " .. path .. "\r\n" .. length(0)) end,
    scheme = function(fd) reply(fd, "302 Found", "Location: file:///etc/hostname\r\n" .. length(0)) end,
}

-- True: the connection is to stay.
local function answer(fd, port)
    local path, from, authorization = request(fd)
    if not path then return end
    log:write(("%d %s %s %s\n"):format(port, path, from or "-", authorization or "-"))
    local name, elsewhere = read_all(root .. "/mode"):match "%S+", path:match "^/elsewhere/.*/(.*)"
    local listing = path:find "^/api/" and read_all(root .. "/listing.json")
    if name ~= state.mode then state.mode, state.served = name, 0 end
    local body = listing or read_all(root .. "/" .. (elsewhere or path:match "/resolve/[^/]+/(.*)" or "none"))
    if not body then return mode.gone(fd) end
    if (listing and not name:find "^api_") or elsewhere then return serve(fd, body) end
    return mode[(name:gsub("^api_", ""))](fd, body, tonumber(from), path)
end

local one, port = open()
local two, other = open()
state.other = other
local file = assert(io.open(ports, "w"))
file:write(port, " ", other, "\n")
file:close()
local waiting = ffi.new("wanted[2]", { { one, READABLE }, { two, READABLE } })
while C.poll(waiting, 2, -1) > 0 do
    for i = 0, 1 do
        if bit.band(waiting[i].revents, READABLE) ~= 0 then
            local fd = C.accept(waiting[i].fd, nil, nil)
            if answer(fd, i == 0 and port or other) then
                table.insert(state.stalled, fd)
            else
                C.shutdown(fd, SENDING)
                C.close(fd)
            end
        end
    end
end
