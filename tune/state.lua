-- state: what state a shared machine is in, in plain words, from what it computes in registers, alone and together,
-- and what it reads, beside the best of either that was ever seen there. Knows no clock.

local linux = require "linux"

local state = {}

-- below this share of the best seen: of what the threads together compute over what one does alone, of what one
-- computes, of what reading reaches
local alone, crowd, memory = 0.8, 0.85, 0.8

-- how much a reference kernel's median sample may lie above its fastest
state.unsteady = 1.5

-- What each word means, for whoever reads it.
state.meaning = {
  crowded = "others compute on the same cores",
  stacked = "our threads share a core part of the time",
  ["memory busy"] = "others use up the bandwidth of memory",
  unsteady = "the reference kernel did not repeat its times",
}

-- seen: { registers1, registers, read } now; best: the best of each so far, or nil; threads. A list of words, empty if
-- the machine is clean: as good as it was ever seen, its threads on cores of their own.
function state.words(seen, best, threads)
  local words = {}
  best = best or seen
  if seen.registers1 < crowd * best.registers1 then words[#words + 1] = "crowded" end
  if threads > 1 and seen.registers < alone * math.min(2, threads) * seen.registers1 then
    words[#words + 1] = "stacked"
  end
  if seen.read < memory * best.read then words[#words + 1] = "memory busy" end
  return words
end

-- "stacked, memory busy", each word of both lists once; nil if there is none.
function state.text(...)
  local list, has = {}, {}
  for _, words in ipairs { ... } do
    for word in (type(words) == "table" and table.concat(words, ", ") or words):gmatch("[^,]+") do
      word = word:match("^%s*(.-)%s*$")
      if word ~= "" and not has[word] then list[#list + 1], has[word] = word, true end
    end
  end
  return #list > 0 and table.concat(list, ", ") or nil
end

-- Whether samples taken in that state are to be taken anew in a better one; unsteadiness may be the kernel's own.
function state.bad(text) return text ~= nil and text ~= "unsteady" end

-- The same with what each word means: "stacked (our threads share a core part of the time)".
function state.explained(text)
  if not text then return "clean" end
  return (text:gsub("[^,]+", function(word)
    local blank, bare = word:match("^(%s*)(.*)$")
    return ("%s%s (%s)"):format(blank, bare, state.meaning[bare] or "?")
  end))
end

-- -- watching one machine ------------------------------------------------------------------------------------

local stale = 4 -- seconds for which a look holds: one takes a fifth of a second

-- o: ask() gives { registers1, registers, read } or nil; threads; best (or nil); now (linux.now); keep(seen, text) is
-- told of every look.
function state.watch(o)
  return { ask = o.ask, threads = o.threads, best = o.best or {}, now = o.now or linux.now,
    keep = o.keep or function() end, worst = nil }
end

local function take(w, seen)
  for _, key in ipairs { "registers1", "registers", "read" } do
    w.best[key] = math.max(w.best[key] or 0, seen[key])
  end
  w.text, w.at = state.text(state.words(seen, w.best, w.threads)), w.now()
  w.worst = state.text(w.worst or "", w.text or "")
  w.keep(seen, w.text)
end

-- The state in words, nil if clean: looks anew if the last look is stale, or if `anew`.
function state.look(w, anew)
  if anew or not w.at or w.now() - w.at > stale then
    local seen = w.ask()
    if seen then take(w, seen) end
  end
  return w.text
end

return state
