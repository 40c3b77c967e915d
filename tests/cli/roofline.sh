#!/bin/bash
# tritune roofline: what it prints holds its schema and its own arithmetic, for this machine and for predicted ones, and
# a prediction takes no memory. How fast anything is is not tested.
tritune=$1 root=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
small=$root/tests/model/tiny-tales-i2_s.gguf

fail() {
    echo "roofline: $*"
    exit 1
}

roofline() { "$tritune" roofline "$@" 2>"$scratch/err" || fail "$*: $(cat "$scratch/err")"; }

# valid FILE: against the schema, where there is a validator
valid() {
    bash "$root/tests/cli/schema.sh" "$root/bench/schema/roofline.json" "$1" >"$scratch/said" 2>&1
    case $? in 0 | 77) ;; *) fail "$(cat "$scratch/said")" ;; esac
}

# decoded FILE LUA: the JSON as d, and what is asked of it
decoded() {
    luajit -e 'local d, null = require("cjson").decode(io.read("*a")), require("cjson").null
        local function check(what, got, expected)
            if got ~= expected then
                print(("roofline: %s is %s, expected %s"):format(what, tostring(got), tostring(expected)))
                os.exit(1)
            end
        end
        local function near(what, got, expected)
            if not (math.abs(got - expected) <= 1e-5 * expected) then check(what, got, expected) end
        end
        local function sum(b) return b.attention + b.ffn + b.head + b.kv end
        '"$2" <"$1" || exit 1
}

# -- predictions: bytes of the shape, bandwidth over them, and nothing measured

roofline --synth 100b --bits 1.6 --head full --bandwidth 33.5 --name "Some CPU" -d 0,7 --json >"$scratch/json"
valid "$scratch/json"
decoded "$scratch/json" '
    check("machine", d.machine.name, "Some CPU")
    check("machine predicted", d.machine.predicted, true)
    near("bandwidth", d.machine.bandwidth_gbps, 33.5)
    local layer = 4 * 8192 * 8192 + 3 * 8192 * 45568
    check("parameters", d.model.model_n_params, 72 * (layer + 3 * 8192 + 45568) + 32002 * 8192 + 8192)
    check("operations", d.model.ops_per_token, 2 * 72 * layer)
    check("roofs", #d.roofs, 2)
    for i, depth in ipairs { 0, 7 } do
        local f = d.roofs[i]
        local b = f.bytes_per_token
        check("depth", f.n_depth, depth)
        check("predicted", f.predicted, true)
        check("all", b.all, sum(b))
        check("attention", b.attention >= 72 * 4 * 8192 * 8192 / 5 and b.attention < 72 * 4 * 8192 * 8192 / 4.9, true)
        check("feed forward", b.ffn >= 72 * 3 * 8192 * 45568 / 5 and b.ffn < 72 * 3 * 8192 * 45568 / 4.9, true)
        check("head", b.head, 32002 * 8192 * 2)
        check("kv", b.kv, (depth + 1) * 72 * 2 * 8192 * 2)
        near("speed", f.ceiling_ts, 33.5e9 / b.all)
        check("bound", f.bound, "reading")
        check("threads, measured", f.n_threads == null and f.measured == null and f.share == null, true)
    end'
roofline --synth 100b --bits 1.6 --head full --bandwidth 33.5 --name "Some CPU" >"$scratch/text"
grep -q '^predicted for Some CPU, from 33.5 GB/s; nothing was measured' "$scratch/text" || fail "$(cat "$scratch/text")"
grep -q '^decode  *all  *1\.6[0-9]  reading$' "$scratch/text" || fail "$(cat "$scratch/text")"
[ -s "$scratch/err" ] && fail "expected nothing on stderr, found: $(cat "$scratch/err")"

# 2 bits take a quarter more than 1.6; caches of q8_0 a little more than half of f16; scales of 32 columns a float each
# and 1.25 bits take what they say; dense weights have two bytes
for words in "--bits 2" "--bits 1.6" "--bits 2 -ctk q8_0 -ctv q8_0" "--bits 2 --head-type q8_0" "--group 32" \
    "--three-of-four --bits 1.25" "--weights f16"; do
    # shellcheck disable=SC2086
    roofline --hidden 1280 --layers 3 --heads 10 --ffn-size 2560 --vocab 512 --head full $words --bandwidth 1 --json
done >"$scratch/all"
sed 's/^}$/},/' "$scratch/all" | { echo '[' && sed '$s/,//' && echo ']'; } >"$scratch/json"
decoded "$scratch/json" '
    local function of(i) return d[i].roofs[1].bytes_per_token end
    near("attention of 1.6 bits", of(1).attention, of(2).attention * 1.25)
    near("feed forward of 1.6 bits", of(1).ffn, of(2).ffn * 1.25)
    near("caches of q8_0", of(3).kv, of(1).kv * 34 / 64)
    near("a head of q8_0", of(4).head, of(1).head * 34 / 64)
    check("parameters of such a head", d[4].model.model_n_params, d[1].model.model_n_params + 512 * 1280)
    check("scales", of(5).ffn >= of(2).ffn + 3 * 3 * 1280 * 2560 / 32 * 4, true)
    near("feed forward of 1.25 bits", of(6).ffn, 3 * 3 * 1280 * 2560 * 1.25 / 8)
    near("dense feed forward", of(7).ffn, 3 * 3 * 1280 * 2560 * 2)
    check("dense type", d[7].model.model_type:match("f16$"), "f16")'

# of a file, the same as of the model it holds; its screen, where one is asked for, is the copy alone
roofline -m "$small" --bandwidth 10 --json >"$scratch/json"
valid "$scratch/json"
decoded "$scratch/json" 'local b = d.roofs[1].bytes_per_token
    check("type", d.model.model_type, "bitnet-b1.58")
    check("parameters", d.model.model_n_params, 5898240 + 4096 * 256 + 6 * (2 * 256 + 256 + 1024) + 256)
    check("size", d.model.model_size, b.attention + b.ffn + 4096 * 256 * 2)
    check("head", b.head, 4096 * 256 * 2)
    check("kv", b.kv, 6 * 2 * 64 * 2 * 2)'
roofline -m "$small" --bandwidth 10 --head screened --json >"$scratch/json"
decoded "$scratch/json" 'check("screen", d.roofs[1].bytes_per_token.head, 4096 * (256 + 12))'

# -- nothing large is allocated: 100 billion weights within 50 MB

if grep -q __asan_init "$tritune"; then
    echo "memory of a prediction: not that of the program where it is sanitized"
else
    (ulimit -d 51200 && exec "$tritune" roofline --synth 100b --bandwidth 200 --json) >"$scratch/json" 2>"$scratch/err" ||
        fail "100b within 50 MB: $(cat "$scratch/err")"
fi

# -- this machine, and a small model on it

roofline -m "$small" -d 0,3 --json >"$scratch/json"
valid "$scratch/json"
decoded "$scratch/json" '
    local m, ceiling, peak, seen = d.machine, {}, {}, {}
    check("predicted", m.predicted, false)
    for _, g in ipairs(m.reading) do
        local most, sorted = 0, {}
        for i, s in ipairs(g.samples) do most, sorted[i] = math.max(most, s), s end
        table.sort(sorted)
        near("the best", g.gbps, most)
        near("the median", g.median_gbps, sorted[(#sorted + 1) / 2])
        seen[g.level .. g.pages] = true
        if g.level == "model" then ceiling[g.threads] = g.gbps end
        if g.level == "memory" and g.pages == "huge" then last = g end
    end
    check("memory in both kinds of pages", seen.memoryhuge and seen.memorysmall, true)
    near("bandwidth", m.bandwidth_gbps, last.gbps)
    for _, g in ipairs(m.multiplying) do peak[g.threads] = math.max(peak[g.threads] or 0, g.gops) end
    local tests = {}
    for _, f in ipairs(d.roofs) do
        check("as run", f.measured.n_threads, f.n_threads)
        check("tokens", f.n_prompt .. " " .. f.n_gen, f.measured.n_prompt .. " " .. f.measured.n_gen)
        near("share", f.share, f.measured_ts / f.ceiling_ts)
        if f.n_gen > 0 then
            local b, own = f.bytes_per_token, f.measured.bytes_per_token
            check("bytes", b.all, sum(b))
            check("bytes as bench counts them", b.all, own.weights + own.head + own.kv)
            near("read", f.read_gbps, math.max(ceiling[f.n_threads], f.measured.read_gbps))
            local reading = f.read_gbps * 1e9 / b.all
            near("ceiling", f.ceiling_ts, math.min(reading, f.gops ~= null and f.gops * 1e9 / d.model.ops_per_token
                or math.huge))
        elseif f.gops ~= null then
            near("ceiling of a prompt", f.ceiling_ts, f.gops * 1e9 / d.model.ops_per_token)
        end
        tests[f.n_depth .. (f.n_gen > 0 and "tg" or "pp")] = true
    end
    check("tests", tests["0tg"] and tests["3tg"] and tests["0pp"] and tests["3pp"], true)'

# bench counts other bytes where something is skipped, and so does the roof
roofline -m "$small" -t 1 --ffn sparse --json >"$scratch/json"
decoded "$scratch/json" 'for _, f in ipairs(d.roofs) do
        if f.n_gen > 0 then check("skipped", sum(f.bytes_per_token) < d.model.model_size, true) end
    end'

roofline -m "$small" -t 1 >"$scratch/text"
for line in '^read memory, small pages, ' '^read model, 3.[0-9] MiB ' '^output matrix' '^pp[0-9]* ' '^tg[0-9]* ' \
    '^test  *threads  *ceiling  *measured'; do
    sed 's/^ *//' "$scratch/text" | grep -q "$line" || fail "no $line in: $(cat "$scratch/text")"
done
[ "$(wc -l <"$scratch/err")" = 1 ] && grep -q '^2 tests, .* about' "$scratch/err" ||
    fail "expected how long the runs take on stderr, found: $(cat "$scratch/err")"

# without a run, and without a model
roofline --synth 100b -t 1 --no-run --json >"$scratch/json"
valid "$scratch/json"
decoded "$scratch/json" 'for _, f in ipairs(d.roofs) do check("not run", f.measured, null) end'
roofline -t 1 --json >"$scratch/json"
valid "$scratch/json"
decoded "$scratch/json" 'check("model", d.model, null) check("roofs", #d.roofs, 0)'

# -- the schema refuses what is none

if bash "$root/tests/cli/schema.sh" "$root/bench/schema/roofline.json" "$scratch/json" >"$scratch/said" 2>&1; then
    for change in 's/"predicted": false/"predicted": 0/' 's/"reading": \[/"readings": [/' 's/"gbps": /"gbps": -/' \
        's/"roofs": \[\]/"roofs": [{}]/' 's/"model": null/"model": {}/'; do
        sed "$change" "$scratch/json" >"$scratch/wrong"
        bash "$root/tests/cli/schema.sh" "$root/bench/schema/roofline.json" "$scratch/wrong" >"$scratch/said" 2>&1 &&
            fail "the schema takes $change"
    done
fi

# -- Ctrl-C, which on a busy machine may come before anybody listens

for seconds in 0.3 0.6 1.2; do
    timeout --preserve-status -s INT $seconds "$tritune" roofline --synth 100b --no-run >"$scratch/text" 2>"$scratch/err"
    code=$?
    grep -q interrupted "$scratch/err" && break
done
[ $code = 130 ] && grep -q interrupted "$scratch/err" || fail "Ctrl-C: expected 130, got $code: $(cat "$scratch/err")"
exit 0
