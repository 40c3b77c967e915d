-- quality.lua TRITUNE ROOT DIR: the measures of `tritune perplexity`, computed anew from `tritune tokenize` and
-- `tritune logits`, one position at a time.
local cjson = require "cjson"
local tritune, root, dir = arg[1], arg[2], arg[3]
local failed = false

local function check(ok, ...)
    if not ok then
        print("FAILED: " .. table.concat({ ... }, " "))
        failed = true
    end
end

local function near(a, b, tolerance) return math.abs(a - b) <= tolerance * (1 + math.abs(b)) end

local function quote(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

local function run(words)
    local pipe = assert(io.popen(quote(tritune) .. " " .. words .. " 2>/dev/null"))
    local text = pipe:read "*a"
    pipe:close()
    local ok, value = pcall(cjson.decode, text)
    assert(ok, "no JSON of: tritune " .. words)
    return value
end

local function tokens(text) return run("tokenize --no-parse-special --json -p " .. quote(text)).tokens end

local function read_all(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read "*a"
    file:close()
    return text
end

-- Log probabilities of what follows ids[1..count], from 0 up as ids are; with `words` to tritune.
local known = {}
local function logs(ids, count, words)
    local key = table.concat(ids, ",", 1, count) .. (words or "")
    if known[key] then return known[key] end
    local logits = run("logits --json " .. (words or "") .. " --tokens " .. table.concat(ids, ",", 1, count)).logits
    local most, sum, out = math.max(unpack(logits)), 0, {}
    for i = 1, #logits do sum = sum + math.exp(logits[i] - most) end
    for i = 1, #logits do out[i - 1] = logits[i] - most - math.log(sum) end
    known[key] = out
    return out
end

local function mean_log(ids, first, last)
    local sum = 0
    for i = first, last do sum = sum + logs(ids, i - 1)[ids[i]] end
    return sum / (last - first + 1)
end

local function shared(all)
    local n = 0
    while true do
        for i = 1, #all do
            if all[i][n + 1] ~= all[1][n + 1] then return n end
        end
        n = n + 1
    end
end

local function greatest(scores)
    local best = 1
    for i = 2, #scores do
        if scores[i] > scores[best] then best = i end
    end
    return best
end

-- tasks: { question, answers, tail (or nil), right (from 1) } in the file's order
local function score(task)
    local all, scores = {}, {}
    for i, answer in ipairs(task.answers) do
        all[i] = tokens(task.question .. (task.tail and "" or " ") .. answer .. (task.tail or ""))
    end
    local n = shared(all)
    local long = task.tail and #all[1] - n > 3 and #all[2] - n > 3
    for i, ids in ipairs(all) do
        local from = long and #tokens(task.question .. task.answers[i]) or n
        local to = task.tail and #ids - from > 1 and #ids - 1 or #ids
        scores[i] = mean_log(ids, from + 1, to)
    end
    return scores
end

local function compare(name, tasks, words)
    local found, correct = run("perplexity --json " .. words), 0
    check(#found.rows == found.tasks and found.tasks > 0, name, "rows")
    local seen = {}
    for _, row in ipairs(found.rows) do
        local task = tasks[row.task + 1]
        local scores = score(task)
        local best = greatest(scores)
        check(not seen[row.task], name, "twice the same task")
        seen[row.task] = true
        for i = 1, #scores do
            check(near(row.scores[i], scores[i], 1e-5), name, "task", row.task, "answer", i, row.scores[i], "not",
                  scores[i])
        end
        local right = type(task.right) == "table" and task.right[best] or task.right == best
        check(row.chosen == best - 1 and row.right == right, name, "task", row.task, "chose", row.chosen)
        correct = correct + (right and 1 or 0)
    end
    check(found.correct == correct and near(found.score, 100 * correct / found.tasks, 1e-9), name, "score")
    return found
end

local function lines(path)
    local all = {}
    for line in io.lines(path) do all[#all + 1] = line end
    return all
end

-- -- tasks ----------------------------------------------------------------------------------------------

local hellaswag, path = {}, root .. "/tests/text/hellaswag.txt"
local text = lines(path)
for i = 1, #text, 6 do
    table.insert(hellaswag, { question = text[i], right = tonumber(text[i + 1]) + 1,
                              answers = { text[i + 2], text[i + 3], text[i + 4], text[i + 5] } })
end
local found = compare("hellaswag", hellaswag, "--hellaswag -f " .. quote(path))
check(found.tasks == 4, "hellaswag: all tasks")
check(found.rows[1].task == 1, "hellaswag: std::uniform_int_distribution draws 1 of 0..3 first, not",
      found.rows[1].task)

local winogrande = {
    { question = "The girl gave the cake to the boy because ", tail = " was very hungry and wanted to eat.",
      answers = { "the girl", "the boy" }, right = 2 },
    { question = "The cat, the dog and the bird played until ", tail = " was tired.",
      answers = { "the cat", "the dog" }, right = 2 },
    { question = "Lily gave Mia a present and then ", tail = " said thank you with a big smile on her face.",
      answers = { "Lily", "Mia" }, right = 2 },
    { question = "The box did not fit into the bag since the ", tail = " was small.", answers = { "box", "bag" },
      right = 2 },
}
local csv = quote(root .. "/tests/text/winogrande.csv")
compare("winogrande", winogrande, "--winogrande -f " .. csv)
check(#compare("winogrande", winogrande, "--winogrande --winogrande-tasks 2 -f " .. csv).rows == 2, "two of four")

local function u32(n)
    local bytes = {}
    for i = 1, 4 do
        bytes[i] = string.char(n % 256)
        n = math.floor(n / 256)
    end
    return table.concat(bytes)
end
local function answers(list, right)
    local out = { u32(#list) }
    for _, answer in ipairs(list) do table.insert(out, u32(#answer) .. answer) end
    for i = 1, #list do table.insert(out, u32(right[i] and 1 or 0)) end
    return table.concat(out)
end
local choice = {
    { question = "Once upon a time there was a little", answers = { "girl.", "and.", "house of stone." },
      right = { true, false, false } },
    { question = "The sun was", answers = { "shining.", "spoon." }, right = { false, true } },
}
local body, offsets = {}, {}
local at = 4 + 4 * #choice
for i, task in ipairs(choice) do
    body[i] = u32(#task.question) .. task.question .. answers(task.answers, task.right) .. answers({}, {})
    offsets[i] = u32(at)
    at = at + #body[i]
end
path = dir .. "/choice.bin"
local file = assert(io.open(path, "wb"))
file:write(u32(#choice), table.concat(offsets), table.concat(body))
file:close()
compare("multiple choice", choice, "--multiple-choice -f " .. quote(path))

-- -- probabilities of another model: the same with a coarser cache ------------------------------------------

local story, base, context = dir .. "/story.txt", dir .. "/base.bin", 16
file = assert(io.open(story, "wb"))
file:write(read_all(root .. "/tests/text/story.txt"):sub(1, 160))
file:close()
local coarse = "-ctk q8_0 -ctv q8_0"
run(("perplexity --json -c %d %s -f %s --save-all-logits %s"):format(context, coarse, quote(story), quote(base)))
found = run("perplexity --json --kl-divergence --kl-divergence-base " .. quote(base))

local ids, sum, nll, nll_base, changes, same, count, vocab = tokens(read_all(story)), 0, 0, 0, 0, 0, 0, nil
for chunk = 0, found.chunks - 1 do
    local part = { ids[1] } -- bos
    for i = 2, context do part[i] = ids[chunk * context + i] end
    for i = context / 2 + 1, context - 1 do
        local q, p = logs(part, i), logs(part, i, coarse)
        local best, best_base = 0, 0
        vocab = #q + 1
        for t = 0, #q do
            sum = sum + math.exp(p[t]) * (p[t] - q[t])
            best, best_base = q[t] > q[best] and t or best, p[t] > p[best_base] and t or best_base
        end
        local one, other = q[part[i + 1]], p[part[i + 1]]
        nll, nll_base, count = nll - one, nll_base - other, count + 1
        changes, same = changes + (math.exp(one) - math.exp(other)) ^ 2, same + (best == best_base and 1 or 0)
    end
end
check(found.chunks >= 2 and found.scored == count, "divergence: tokens")
check(near(found.ppl, math.exp(nll / count), 1e-5), "divergence: PPL", found.ppl, math.exp(nll / count))
check(near(found.ppl_base, math.exp(nll_base / count), 1e-4), "divergence: PPL of the base", found.ppl_base)
check(math.abs(found.kld - sum / count) < 2e-5 and sum > 0, "divergence: KLD", found.kld, sum / count)
check(math.abs(found.rms_change - math.sqrt(changes / count)) < 2e-5, "divergence: RMS", found.rms_change)
check(math.abs(found.same_top - same / count) < 1.5 / count, "divergence: same top", found.same_top, same / count)

local bytes = read_all(base)
check(bytes:sub(1, 20) == "_logits_" .. u32(context) .. u32(vocab) .. u32(found.chunks), "base: its first 20 bytes")
check(bytes:sub(21, 24 + 4 * 16) == (function()
    local all = {}
    for i = 1, 17 do all[i] = u32(ids[i]) end
    return table.concat(all)
end)(), "base: the tokens, without bos at the second chunk")
check(#bytes == 20 + found.chunks * (4 * context + 2 * (context / 2 - 1) * (4 + vocab + vocab % 2)), "base: its size")
os.exit(failed and 1 or 0)
