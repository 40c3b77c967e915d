-- linux: what the tuner asks of Linux through the FFI: children and their pipes, time, signals, locked and
-- atomic files, the terminal. Knows nothing of kernels.

local ffi = require "ffi"
local bit = require "bit"

local linux = {}
local C = ffi.C

ffi.cdef [[
typedef int tri_pid;
struct tri_timespec { long sec, nsec; };
struct tri_pollfd { int fd; short events, revents; };
struct tri_winsize { unsigned short rows, columns, x, y; };
typedef struct { unsigned long bits[16]; } tri_sigset;
int clock_gettime(int clock, struct tri_timespec *t);
int pipe2(int fd[2], int flags);
tri_pid fork(void);
int execvp(const char *file, char *const argv[]);
int dup2(int from, int to);
int close(int fd);
int open(const char *path, int flags, ...);
long read(int fd, void *to, size_t count);
long write(int fd, const void *from, size_t count);
int64_t lseek(int fd, int64_t offset, int whence);
int fsync(int fd);
int posix_fadvise(int fd, int64_t offset, int64_t size, int advice);
void *mmap(void *at, size_t size, int protection, int flags, int fd, int64_t offset);
int munmap(void *at, size_t size);
int mincore(void *at, size_t size, unsigned char *pages);
int flock(int fd, int operation);
int rename(const char *from, const char *to);
int unlink(const char *path);
int mkdir(const char *path, unsigned mode);
int poll(struct tri_pollfd *fds, unsigned long count, int timeout);
tri_pid waitpid(tri_pid pid, int *status, int options);
int kill(tri_pid pid, int signal);
int setpgid(tri_pid pid, tri_pid group);
int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int sigemptyset(tri_sigset *set);
int sigaddset(tri_sigset *set, int signal);
int sigprocmask(int how, const tri_sigset *set, tri_sigset *old);
int signalfd(int fd, const tri_sigset *set, int flags);
int ioctl(int fd, unsigned long request, ...);
int isatty(int fd);
tri_pid getpid(void);
void _exit(int status);
char *strerror(int error);
void (*signal(int number, void (*handler)(int)))(int);
]]

local O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND = 1, 2, 0x40, 0x200, 0x400
local O_CLOEXEC, O_NONBLOCK = 0x80000, 0x800
local POLLIN = 1
local SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGTERM = 1, 2, 9, 13, 15
local EINTR, EEXIST = 4, 17
local LOCK_EX, LOCK_UN = 2, 8
local TIOCGWINSZ = 0x5413
local PR_SET_PDEATHSIG = 1
local PROT_READ, MAP_SHARED, MAP_FAILED, PAGE = 1, 1, ffi.cast("void *", -1), 4096
local POSIX_FADV_DONTNEED = 4
local PERMISSIONS = 420 -- rw-r--r--

local function message() return ffi.string(C.strerror(ffi.errno())) end

-- -- time ------------------------------------------------------------------------------------------------

function linux.now()
  local t = ffi.new("struct tri_timespec")
  C.clock_gettime(1, t)
  return tonumber(t.sec) + tonumber(t.nsec) * 1e-9
end

function linux.stamp() return os.date("!%Y-%m-%dT%H:%M:%SZ") end

-- -- interruption ----------------------------------------------------------------------------------------

local signals, signal_fd
local interrupted = false

-- From here on Ctrl-C is not the end but a question: linux.interrupted().
function linux.catch_interrupts()
  signals = ffi.new("tri_sigset")
  C.sigemptyset(signals)
  for _, s in ipairs { SIGINT, SIGTERM, SIGHUP } do C.sigaddset(signals, s) end
  C.sigprocmask(0, signals, nil)
  signal_fd = C.signalfd(-1, signals, bit.bor(O_CLOEXEC, O_NONBLOCK))
  C.signal(SIGPIPE, ffi.cast("void (*)(int)", 1))
end

function linux.interrupted()
  if signal_fd and not interrupted then
    interrupted = C.read(signal_fd, ffi.new("char[128]"), 128) > 0
  end
  return interrupted
end

-- -- children ----------------------------------------------------------------------------------------------

local function argv_of(words)
  local argv = ffi.new("char *[?]", #words + 1)
  for i, word in ipairs(words) do argv[i - 1] = ffi.cast("char *", word) end
  return argv
end

-- In the child: its own group, so that Ctrl-C is the parent's alone and one kill reaches its children;
-- it ends with its parent. Nothing here may return.
local function become(words, argv, input, output, errors)
  C.setpgid(0, 0)
  C.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
  if signals then C.sigprocmask(1, signals, nil) end
  C.dup2(input, 0)
  C.dup2(output, 1)
  if errors then C.dup2(errors, 2) end
  C.execvp(words[1], argv)
  C._exit(127)
end

local function pipe()
  local fd = ffi.new("int[2]")
  if C.pipe2(fd, O_CLOEXEC) ~= 0 then error("cannot make a pipe: " .. message(), 0) end
  return fd[0], fd[1]
end

-- Starts a program with pipes: child.input to write to, child.output to read (with its errors, if
-- `errors`; else they go where ours go). Status 127: no such program.
function linux.spawn(words, errors)
  local argv = argv_of(words)
  local in_read, in_write = pipe()
  local out_read, out_write = pipe()
  local pid = C.fork()
  if pid < 0 then error("cannot start " .. words[1] .. ": " .. message(), 0) end
  if pid == 0 then become(words, argv, in_read, out_write, errors and out_write) end
  C.setpgid(pid, pid)
  C.close(in_read)
  C.close(out_write)
  return { pid = pid, input = in_write, output = out_read, text = "" }
end

function linux.send(child, text)
  while #text > 0 do
    local n = tonumber(C.write(child.input, text, #text))
    if n < 0 and ffi.errno() ~= EINTR then return false end
    if n > 0 then text = text:sub(n + 1) end
  end
  return true
end

-- Waits until one of the children says something, the deadline (of linux.now) passes, or Ctrl-C. What was
-- said is appended to child.text; child.ended is set at its end. Returns false if time ran out.
function linux.wait(children, deadline)
  local fds = ffi.new("struct tri_pollfd[?]", #children + 1)
  for i, child in ipairs(children) do fds[i - 1].fd, fds[i - 1].events = child.output, POLLIN end
  fds[#children].fd, fds[#children].events = signal_fd or -1, POLLIN
  local left = math.max(0, math.min(deadline - linux.now(), 86400))
  if C.poll(fds, #children + 1, math.ceil(left * 1000)) == 0 then return false end
  local buffer = ffi.new("char[?]", 65536)
  for i, child in ipairs(children) do
    if fds[i - 1].revents ~= 0 then
      local n = tonumber(C.read(child.output, buffer, 65536))
      if n > 0 then child.text = child.text .. ffi.string(buffer, n)
      elseif n == 0 or ffi.errno() ~= EINTR then child.ended = true end
    end
  end
  return true
end

-- Asks a child to come to an end, as Ctrl-C would.
function linux.interrupt(child) C.kill(child.pid, SIGINT) end

-- Reaps a child (killing it and its own children first, if `kill`): "exit" or "signal", and the number.
function linux.reap(child, kill)
  if kill then C.kill(-child.pid, SIGKILL) end
  C.close(child.input)
  C.close(child.output)
  local status = ffi.new("int[1]")
  while C.waitpid(child.pid, status, 0) < 0 and ffi.errno() == EINTR do end
  local signal = bit.band(status[0], 127)
  if signal ~= 0 then return "signal", signal end
  return "exit", bit.band(bit.rshift(status[0], 8), 255)
end

-- -- files -------------------------------------------------------------------------------------------------

-- Makes a folder and those above it; nil and why, if that fails.
function linux.mkdir(path, mode)
  local at = path:sub(1, 1) == "/" and "/" or ""
  for part in path:gmatch("[^/]+") do
    at = at .. part
    if C.mkdir(at, mode) ~= 0 and ffi.errno() ~= EEXIST then return nil, at .. ": " .. message() end
    at = at .. "/"
  end
  return true
end

function linux.exists(path)
  local f = io.open(path, "rb")
  if f then f:close() end
  return f ~= nil
end

function linux.read(path, most)
  local f, why = io.open(path, "rb")
  if not f then return nil, why end
  local text
  text, why = f:read(most or "*a")
  f:close()
  return text or not why and "" or nil, why
end

local function write_all(fd, text)
  while #text > 0 do
    local n = tonumber(C.write(fd, text, #text))
    if n < 0 and ffi.errno() ~= EINTR then return nil, message() end
    if n > 0 then text = text:sub(n + 1) end
  end
  return true
end

-- The new text or the old, never half of it.
function linux.replace(path, text)
  local draft = ("%s.%d.new"):format(path, C.getpid())
  local fd = C.open(draft, bit.bor(O_WRONLY, O_CREAT, O_TRUNC, O_CLOEXEC), ffi.cast("int", PERMISSIONS))
  if fd < 0 then return nil, draft .. ": " .. message() end
  local ok, why = write_all(fd, text)
  if ok and C.fsync(fd) ~= 0 then ok, why = nil, message() end
  C.close(fd)
  if ok and C.rename(draft, path) == 0 then return true end
  why = why or message()
  C.unlink(draft)
  return nil, path .. ": " .. why
end

function linux.rename(from, to) return C.rename(from, to) == 0 end

-- The share of a file's pages that lie in the page cache; nil if that cannot be told.
local function cached_share(fd, size)
  local at = C.mmap(nil, size, PROT_READ, MAP_SHARED, fd, 0)
  if at == MAP_FAILED then return nil end
  local count, there = math.ceil(size / PAGE), 0
  local pages = ffi.new("unsigned char[?]", count)
  local known = C.mincore(at, size, pages) == 0
  C.munmap(at, size)
  for i = 0, count - 1 do there = there + bit.band(pages[i], 1) end
  return known and there / count or nil
end

-- Drops a file from the page cache, as far as the system does so: the share of it that stays, nil if that cannot be
-- told.
function linux.forget(path)
  local fd = C.open(path, bit.bor(O_RDWR, O_CLOEXEC))
  if fd < 0 then return nil end
  local size = tonumber(C.lseek(fd, 0, 2))
  C.fsync(fd) -- pages that are not on the disk yet stay
  C.posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED)
  local share = size > 0 and cached_share(fd, size) or nil
  C.close(fd)
  return share
end

-- Opens a file for appending lines under a lock; nil and why.
function linux.append_open(path)
  local fd = C.open(path, bit.bor(O_RDWR, O_CREAT, O_APPEND, O_CLOEXEC), ffi.cast("int", PERMISSIONS))
  if fd < 0 then return nil, path .. ": " .. message() end
  return fd
end

-- What f returns, while no other process holds the lock on this file. Not to be nested.
function linux.locked(fd, f)
  while C.flock(fd, LOCK_EX) ~= 0 do
    if ffi.errno() ~= EINTR then return nil, message() end
  end
  local done, ok, why = pcall(f)
  C.flock(fd, LOCK_UN)
  if not done then error(ok, 0) end
  return ok, why
end

-- Appends `text` (whole lines) at once, under the lock; a line that an earlier crash left torn is ended first.
function linux.append_locked(fd, text)
  local last = ffi.new("char[1]")
  local size = tonumber(C.lseek(fd, 0, 2))
  if size > 0 then
    C.lseek(fd, -1, 2)
    if C.read(fd, last, 1) == 1 and last[0] ~= 10 then text = "\n" .. text end
  end
  return write_all(fd, text)
end

function linux.append(fd, text)
  return linux.locked(fd, function() return linux.append_locked(fd, text) end)
end

function linux.pid() return C.getpid() end

function linux.close(fd) C.close(fd) end

-- -- the terminal --------------------------------------------------------------------------------------------

function linux.is_terminal(fd) return C.isatty(fd) == 1 end

function linux.columns(fd)
  local size = ffi.new("struct tri_winsize")
  if C.ioctl(fd, TIOCGWINSZ, size) == 0 and size.columns > 0 then return size.columns end
  return 80
end

return linux
