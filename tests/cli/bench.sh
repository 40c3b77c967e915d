#!/bin/bash
# tritune bench: rows, keys and arithmetic of the three outputs, and Ctrl-C. How fast anything is is not tested.
tritune=$1 root=${2:-.}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "bench: $*" >&2 # what is tested may have its output in a file
    exit 1
}

bench() { "$tritune" bench "$@" 2>"$scratch/err" || fail "$*: $(cat "$scratch/err")"; }

# decoded LUA: the JSON on standard input as d, and what is asked of it
decoded() {
    luajit -e 'local d = require("cjson").decode(io.read("*a"))
        local function check(what, got, expected)
            if got ~= expected then
                print(("bench: %s is %s, expected %s"):format(what, tostring(got), tostring(expected)))
                os.exit(1)
            end
        end
        local null = require("cjson").null
        '"$1"
}

# -- rows: depths, threads, prompts, then decoding

bench -p 0,8,3 -n 4,0 -d 0,5 -t 1,2 -r 3 -o json >"$scratch/json"
decoded '
    local expected = {}
    for _, depth in ipairs { 0, 5 } do
        for threads = 1, 2 do
            for _, test in ipairs { { 8, 0 }, { 3, 0 }, { 0, 4 } } do
                expected[#expected + 1] = ("%d %d %d %d"):format(test[1], test[2], depth, threads)
            end
        end
    end
    check("rows", #d, #expected)
    for i, r in ipairs(d) do
        check("row " .. i, ("%d %d %d %d"):format(r.n_prompt, r.n_gen, r.n_depth, r.n_threads), expected[i])
        local sum, squares = 0, 0
        for _, s in ipairs(r.samples_ts) do sum = sum + s end
        for _, s in ipairs(r.samples_ts) do squares = squares + (s - sum / 3) ^ 2 end
        check("samples", #r.samples_ts, 3)
        check("the mean", math.abs(r.avg_ts - sum / 3) <= 1e-6 * sum, true)
        check("the deviation", math.abs(r.stddev_ts - math.sqrt(squares / 2)) <= 1e-5 * sum, true)
        local sorted = { unpack(r.samples_ts) }
        table.sort(sorted)
        check("the median", r.median_ts, sorted[2])
        check("the spread", r.min_ts .. " " .. r.max_ts, sorted[1] .. " " .. sorted[3])
        check("file", r.model_filename, "embedded")
        check("type", r.model_type, "bitnet-b1.58")
        check("parameters", r.model_n_params, 5898240 + 4096 * 256 + 6 * (2 * 256 + 256 + 1024) + 256)
        check("caches", r.type_k .. r.type_v, "f16f16")
        check("a peak, a time and a rate", r.peak_rss_mib > 1 and r.load_ms > 0 and r.read_gbps > 0, true)
        local b = r.bytes_per_token
        if r.n_gen == 0 then
            check("sparsity of a prompt", r.ffn_sparsity, null)
            check("bytes of a prompt", b, null)
            check("share of a prompt", r.share, null)
        else
            -- 6 layers, 2 heads of 64 keys and 64 values, 2 bytes each; tokens see 1 to 4 positions, and the depth
            check("bytes of the cache", b.kv, 6 * 2 * 64 * 2 * 2 * (r.n_depth + 2.5))
            check("bytes of the head", b.head <= 4096 * 256 * 2, true)
            check("bytes of the weights", b.weights >= 5898240 / 5 and b.weights <= 5898240, true)
            check("size", r.model_size, b.weights + 4096 * 256 * 2)
            local share = (b.weights + b.head + b.kv) * r.avg_ts / (r.read_gbps * 1e9)
            check("share", math.abs(r.share - share) <= 1e-6 * share, true)
            -- what the reference counts over its text is 0.74 and 0.85 in the mean
            check("sparsity", r.ffn_sparsity > 0.6 and r.ffn_sparsity < 0.9, true)
            check("of what follows", r.down_sparsity > r.ffn_sparsity and r.down_sparsity < 0.97, true)
        end
    end
' <"$scratch/json" || exit 1

bench -p 0 -n 1 -r 1 -t 2 -ctk q8_0 -ctv f32 -o json >"$scratch/json"
decoded 'check("rows", #d, 1)
    check("one sample deviates", d[1].stddev_ts, 0)
    check("bytes of other caches", d[1].bytes_per_token.kv, 6 * 2 * (68 + 256))' <"$scratch/json" || exit 1

# -- the schema fits what is written, and not what lacks a key, has another, or says what cannot be

fits() { bash "$root/tests/cli/schema.sh" "$root/bench/schema/bench.json" "$1" 2>"$scratch/err"; }

bench -p 3 -n 0,2 -pg 2,2 -d 0,2 -t 1 -r 2 --head screened -o json >"$scratch/json"
fits "$scratch/json"
case $? in
0)  cut() { luajit -e 'local json = require "cjson"
        local d = json.decode(io.read("*a"))
        local r = d[2]
        '"$1"'
        io.write(json.encode(d))' <"$scratch/json" >"$scratch/cut"; }
    cut ''
    fits "$scratch/cut" || fail "the same JSON again: $(cat "$scratch/err")"
    for edit in 'r.median_ts = nil' 'r.median = 1' 'r.samples_ts = { 0 }' 'r.n_threads = 0' 'r.avg_ts = -1' \
        'r.n_gen, r.n_prompt = 0, 0' 'r.bytes_per_token.head = nil' 'r.bytes_per_token = json.null' 'r.ffn = "none"' \
        'd = r'; do
        cut "$edit"
        fits "$scratch/cut" && fail "$edit: expected no fit with the schema"
    done ;;
77) echo "the schema: not tested without python3-jsonschema" ;;
*)  fail "$(cat "$scratch/err")" ;;
esac

# -- what is skipped is not counted: 0.4 of the weights are gate and attention, of the rest what is not zero counts

bench -p 0 -n 2 -r 1 -t 1 -o json >"$scratch/dense"
bench -p 0 -n 2 -r 1 -t 1 --ffn sparse -o json >"$scratch/sparse"
cat "$scratch/dense" "$scratch/sparse" | sed 's/^\]$/,/; 2,$s/^\[$//' | sed '$s/,/]/' >"$scratch/json"
decoded 'local dense, sparse = d[1], d[2]
    check("what skips", sparse.ffn, "sparse")
    check("the same zeros", sparse.ffn_sparsity .. sparse.down_sparsity, dense.ffn_sparsity .. dense.down_sparsity)
    local ratio = sparse.bytes_per_token.weights / dense.bytes_per_token.weights
    check("bytes of what skips", ratio > 0.4 and ratio < 0.75, true)' <"$scratch/json" || exit 1

# -- the same as CSV and as a table

bench -p 4 -n 2 -d 3 -t 1 -r 1 --head full -o csv >"$scratch/csv"
[ "$(wc -l <"$scratch/csv")" = 3 ] || fail "CSV: expected 3 lines in: $(cat "$scratch/csv")"
names='model_filename,model_type,.*n_threads,.*n_prompt,n_gen,n_depth,avg_ts,stddev_ts,median_ts,min_ts,max_ts'
grep -q "^$names,bytes_per_token_weights," "$scratch/csv" || fail "CSV: $(head -1 "$scratch/csv")"
[ "$(tr -cd ',\n' <"$scratch/csv" | sort -u | wc -l)" = 1 ] || fail "CSV: lines of different lengths"
grep -q '"dense","full","0","0","2","3","[0-9.]*","0",\("[0-9.]*",\)\{3\}"[0-9]*","2097152","' "$scratch/csv" ||
    fail "CSV: $(tail -1 "$scratch/csv")"
bench -p 4 -n 2 -d 0,3 -t 1 -r 1 >"$scratch/md"
for test in "pp4" "tg2" "pp4 @ d3" "tg2 @ d3"; do
    grep -qE "\| bitnet-b1.58 .* 6.96 M .* $test \| +[0-9.]+ \| +[0-9.]+ \.\. [0-9.]+ \|" "$scratch/md" ||
        fail "no $test in: $(cat "$scratch/md")"
done
said=$(sed 's/[0-9.]* \(s\|min\|h\)$/N \1/' "$scratch/err")
[ "$said" = "4 tests, 1 repetition each: about N s" ] || fail "expected an estimate on stderr, found: $said"
[ "$(wc -l <"$scratch/err")" = 1 ] || fail "progress where there is no terminal: $(cat "$scratch/err")"

if script -qec true /dev/null >"$scratch/out" 2>&1; then # a terminal
    script -qec "'$tritune' bench -p 4 -n 2 -t 1 -r 2" /dev/null </dev/null >"$scratch/out" 2>&1
    for said in 'warming up, test 2 of 2' 'repetition 2 of 2, test 2 of 2, about [0-9.]* [a-z]* left'; do
        grep -q "$said" "$scratch/out" || fail "no \"$said\" on a terminal: $(cat -v "$scratch/out")"
    done
fi

# -- lists and ranges, several times, prompts with tokens decoded behind them; the order of llama-bench

# tests_of OPTION...: "TEST@DEPTHxTHREADS" of each row
tests_of() {
    bench -r 1 "$@" -o json >"$scratch/json"
    decoded 'local all = {}
        for i, r in ipairs(d) do
            all[i] = ("%d+%d@%dx%d"):format(r.n_prompt, r.n_gen, r.n_depth, r.n_threads)
        end
        print(table.concat(all, " "))' <"$scratch/json"
}

expect_tests() { # EXPECTED OPTION...
    local expected=$1 found
    shift
    found=$(tests_of "$@") || fail "$*: $found"
    [ "$found" = "$expected" ] || fail "$*: expected $expected, found $found"
}

expect_tests "3+0@0x1 4+0@0x1 5+0@0x1" -p 3-5 -n 0 -t 1
expect_tests "2+0@0x1 5+0@0x1 8+0@0x1 0+1@0x1" -p 2-9+3 -n 1 -t 1
expect_tests "1+0@0x1 3+0@0x1 9+0@0x1 4+0@0x1" -p '1-20*3,4' -n 0 -t 1
expect_tests "7+0@0x1 7+0@0x2 7+0@2x1 7+0@2x2" -p 7-7 -n 0 -t 1-2 -d 0-2+2
expect_tests "2+0@0x1 3+0@0x1 0+1@0x1 0+2@0x1" -p 2 -n 1 -p 3 -n 2 -t 1
expect_tests "4+2@3x1 6+1@3x1" -p 0 -n 0 -pg 4,2 -pg 6,1 -d 3 -t 1
bench -p 0 -n 0 -pg 4,2 -d 3 -t 1 -r 1 >"$scratch/md"
grep -q '| *pp4+tg2 @ d3 |' "$scratch/md" || fail "a prompt and more: $(cat "$scratch/md")"
bench -p 0 -n 0 -pg 4,8 -t 1 -r 2 --draft 3 -o json >"$scratch/json"
decoded 'check("of both", d[1].bytes_per_token, null) check("samples", #d[1].samples_ts, 2)' <"$scratch/json" || exit 1
bench -p 9 -n 0 -t 1 -r 1 -b 4 -ub 2 -o json >"$scratch/json"
decoded 'check("batches", d[1].n_batch .. " " .. d[1].n_ubatch, "4 2")' <"$scratch/json" || exit 1

# refused WORDS OPTION...: a usage error that says these words
refused() {
    local words=$1 code
    shift
    "$tritune" bench "$@" >"$scratch/out" 2>"$scratch/err"
    code=$?
    [ $code = 2 ] || fail "$*: expected exit code 2, found $code: $(cat "$scratch/err")"
    grep -qF -e "$words" "$scratch/err" || fail "$*: expected \"$words\" in: $(cat "$scratch/err")"
    [ -s "$scratch/out" ] && fail "$*: expected nothing on stdout"
}

for list in '' , 5, ,5 5,,6 5-2 5- -5 1-9+ 1-9+0 '1-9*1' '0-9*2' 1-9/2 1-9+1+1 1.5 five 16777217 \
    99999999999999999999; do
    refused "option -p: expected numbers" -p "$list"
done
refused "option -t: expected numbers from 1 to" -t 0-2
refused "option -d: expected at most" -d 0-16777216
refused "expected at most 4096 tests, found" -p 1-300 -n 0 -d 0-99
refused "found -p 0 and -n 0" -p 0 -n 0
for pair in '' 5 5, ,5 0,5 5,0 5,6,7 '5 6' a,b; do
    refused "option -pg: expected two numbers" -pg "$pair"
done
refused "expected md, csv, json or jsonl, found \"sql\"" -o sql
refused "expected one of -m FILE and" -m "$scratch/none" --synth large
many=$(printf -- '-p 1 %.0s' {1..65})
refused "option -p: expected it at most 64 times" $many

# -- what users of llama-bench type: accepted where it is so anyway, else refused by name with what there is instead

bench -p 1 -n 0 -r 1 -t 1 -ngl 0 -fa 0,1 -mmp 0 -nkvo 1 -sm none -mg 0 -embd 0 --poll 50 --prio 0 -dev none -oe none \
    -v --progress -C 0x0 --delay 0.01 >"$scratch/md"
refused "option -ngl: expected 0, found \"99\"" -ngl 99
refused "tritune embed" -embd 1
refused "numactl" --numa distribute
refused "nice(1)" --prio 2
refused "taskset(1)" -C 0x3
refused "--no-warmup" --no-warmup
refused "option --delay: expected 0 to 3600" --delay -1

# -- a model that is in no file

bench --synth large -p 2 -n 1 -t 2 -r 1 -o json >"$scratch/json"
decoded 'check("rows", #d, 2)
    check("type", d[2].model_type, "bitnet synthetic large")
    check("parameters", d[2].model_n_params, 24 * (1536 * 1536 * 4 + 3 * 1536 * 4096 + 3 * 1536 + 4096)
        + 32002 * 1536 + 1536)
    check("zeros of SiLU", d[2].ffn_sparsity, null)
    check("resident", d[2].peak_rss_mib * 2 ^ 20 > d[2].model_size, true)' <"$scratch/json" || exit 1

bench --synth large --layers 2 --vocab 1000 --act relu2 --ffn-sparsity 0.9 --head-type q8_0 -p 0 -n 8 -t 2 -r 1 \
    -o json >"$scratch/json"
decoded 'check("type", d[1].model_type, "bitnet-b1.58 synthetic large")
    check("parameters", d[1].model_n_params, 2 * (1536 * 1536 * 4 + 3 * 1536 * 4096 + 3 * 1536 + 4096)
        + 2 * 1000 * 1536 + 1536)
    check("bytes of the head", d[1].bytes_per_token.head, 1000 * 1536 / 32 * 34)
    check("sparsity as asked", math.abs(d[1].ffn_sparsity - 0.9) < 0.04, true)' <"$scratch/json" || exit 1
# A screened head reads its copy, 256 + 12 bytes a row, and some rows of F16; drafts change no count of tokens
bench --head screened --draft 5 -p 0 -n 8 -r 1 -t 1 -o json >"$scratch/json"
decoded 'check("drafts", d[1].draft, 5) check("what bounds drafts", d[1].share, null)
    check("candidates", d[1].head_candidates >= 1 and d[1].head_candidates < 4096, true)' <"$scratch/json" || exit 1
bench --head screened -p 0 -n 8 -r 1 -t 1 -o json >"$scratch/json"
decoded 'local rows = d[1].head_candidates
    check("head", math.abs(d[1].bytes_per_token.head - 4096 * (256 + 12) - rows * 512) <= 512, true)' \
    <"$scratch/json" || exit 1
bench --head full -p 0 -n 8 -r 1 -t 1 -o json >"$scratch/json"
decoded 'check("no candidates", d[1].head_candidates, null)' <"$scratch/json" || exit 1

# -- the same model of other weights: F16 takes 16 bits a weight, blocks of 32 half a byte or a byte each, and a half

for type in ternary:0 f16:16 q8_0:8.5 q4_0:4.5; do
    bench --synth large --layers 2 --vocab 1000 --weights "${type%:*}" -p 2 -n 2 -t 2 -r 1 -o json >"$scratch/json"
    decoded 'local name, bits = ("'"$type"'"):match("(.*):(.*)")
        local weights = 2 * (1536 * 1536 * 4 + 3 * 1536 * 4096) * bits / 8
        check("rows", #d, 2)
        check("type", d[2].model_type, "bitnet synthetic large" .. (bits == "0" and "" or " " .. name))
        if bits ~= "0" then
            check("bytes", d[2].bytes_per_token.weights, weights)
            check("size", d[2].model_size, weights + 1000 * 1536 * 2)
        end' <"$scratch/json" || exit 1
done
refused 'expected ternary, f16, q8_0 or q4_0, found "q6_k"' --synth large --weights q6_k
refused "scales of 64 columns, found f16" --synth large --layers 1 --weights f16 --group 64
refused "expected ternary weights, found q8_0" --synth large --layers 1 --weights q8_0 --bits 1.6
refused "expected one of -m FILE and" -m "$scratch/none" --weights q4_0

bench --hidden 64 --layers 1 --heads 2 --ffn-size 96 --vocab 50 -p 0 -n 1 -t 1 -r 1 >"$scratch/md"
grep -q 'bitnet-b1.58 synthetic by hand' "$scratch/md" || fail "by hand: $(cat "$scratch/md")"

# -- two results side by side: ratios of medians with bounds, what differs, what only one has

# result FILE ROW...: rows "PROMPT GEN DEPTH THREADS SAMPLES [KEYS]" of a model
result() {
    local file=$1 row comma=
    shift
    for row in "$@"; do
        set -- $row
        printf '%s{"model_type": "m", "model_n_params": 7, "n_prompt": %s, "n_gen": %s, "n_depth": %s,
            "n_threads": %s, "samples_ts": [%s]%s}' "$comma" "$1" "$2" "$3" "$4" "$5" "${6:+, $6}"
        comma=,
    done | sed '1s/^/[/; $s/$/]/' >"$scratch/$file"
}

result a.json "8 0 0 1 10,20,30" "0 4 0 1 5" "0 4 0 2 2,2" "0 4 9 1 1"
result b.json '0 4 0 2 2,2 "model_size":9' "0 5 0 1 1" "0 4 0 1 10,10" "8 0 0 1 60,30,90"
bench --compare "$scratch/a.json" "$scratch/b.json" -o json >"$scratch/json"
decoded 'check("pairs", #d, 3)
    check("medians", d[1].a_median_ts .. " " .. d[1].b_median_ts .. " " .. d[1].ratio, "20 60 3")
    check("bounds", d[1].low .. " " .. d[1].high, "1 9")
    check("one sample", d[2].ratio .. tostring(d[2].low) .. tostring(d[2].high), "2userdata: NULLuserdata: NULL")
    check("threads", d[3].n_threads .. " " .. d[3].ratio .. " " .. d[3].low .. " " .. d[3].high, "2 1 1 1")' \
    <"$scratch/json" || exit 1
bench --compare "$scratch/a.json" "$scratch/b.json" >"$scratch/md"
for line in '| m | *1 | *pp8 | *20.00 | *60.00 | *3.000 | *1.000 .. 9.000 |' \
    '^only in A, .*a.json: m, 1 thread, tg4 @ d9$' '^only in B, .*b.json: m, 1 thread, tg5$'; do
    grep -q "$line" "$scratch/md" || fail "no $line in: $(cat "$scratch/md")"
done

# another model is another test, unless nothing else is left; lines, receipts and what a run wrote are read, too
result a.json '0 4 0 1 5,5 "model_size":8,"head":"auto"'
result b.json '0 4 0 1 6,6 "model_size":9,"head":"auto"' '0 4 0 1 7,7 "model_size":9'
tr -d '\n' <"$scratch/b.json" | sed 's/"m"/"other\\u001b"/g; s/^\[//; s/\]$//; s/},{/}\n{/' >"$scratch/lines"
printf '{"machine": 1, "rows": %s}' "$(cat "$scratch/a.json")" >"$scratch/receipt"
bench --compare "$scratch/receipt" "$scratch/b.json" -o json >"$scratch/json"
decoded 'check("pairs", #d, 1) check("the first", d[1].ratio, 1.2)
    check("sizes", table.concat(d[1].differs.model_size, " "), "8 9") check("the head", d[1].differs.head, nil)' \
    <"$scratch/json" || exit 1
bench --compare "$scratch/a.json" "$scratch/lines" >"$scratch/md"
grep -qF '| model_type m -> other\x1b, model_size 8 -> 9 |' "$scratch/md" ||
    fail "another model: $(cat "$scratch/md")"
bench -p 2 -n 2 -t 1 -r 2 -o jsonl >"$scratch/run"
bench --compare "$scratch/run" "$scratch/run" -o json >"$scratch/json"
decoded 'check("pairs", #d, 2) check("itself", d[2].ratio, 1) check("differs", next(d[2].differs), nil)' \
    <"$scratch/json" || exit 1

# fails CODE WORDS OPTION...: an exit code, and words that say why
fails() {
    local expected=$1 words=$2 code
    shift 2
    "$tritune" bench "$@" >"$scratch/out" 2>"$scratch/err"
    code=$?
    [ $code = "$expected" ] || fail "$*: expected exit code $expected, found $code: $(cat "$scratch/err")"
    grep -qF -e "$words" "$scratch/err" || fail "$*: expected \"$words\" in: $(cat "$scratch/err")"
}

result c.json "1 0 0 1 1"
fails 1 "expected tests that are in both files" --compare "$scratch/a.json" "$scratch/c.json"
fails 3 "none" --compare "$scratch/a.json" "$scratch/none"
deep=$(printf '[%.0s' {1..5000})
for text in '' ' ' '[]' '{' '[1]' '{}' '"x"' '[{}]' '{"rows": [7]}' '[{"a": 1, "a": 1}]' "$deep"; do
    printf '%s' "$text" >"$scratch/bad"
    fails 3 "$scratch/bad: " --compare "$scratch/a.json" "$scratch/bad"
done
for change in 's/\[5,5\]/[]/' 's/\[5,5\]/[5,-5]/' 's/\[5,5\]/[0]/' 's/\[5,5\]/"5"/' 's/\[5,5\]/[null]/' \
    's/\[5,5\]/[1e999]/' 's/"n_gen": 4/"n_gen": 4.5/' 's/"n_gen": 4/"n_gen": -4/' 's/"n_threads"/"threads"/' \
    's/"n_depth": 0/"n_depth": 99999999999999999999/' 's/"m"/5/'; do
    sed "$change" "$scratch/a.json" >"$scratch/bad"
    cmp -s "$scratch/a.json" "$scratch/bad" && fail "$change: changed nothing"
    fails 3 "$scratch/bad: " --compare "$scratch/bad" "$scratch/a.json"
done
refused "expected two files" --compare "$scratch/a.json"
refused "unexpected word" "$scratch/a.json"
refused "unexpected word" --compare "$scratch/a.json" "$scratch/a.json" "$scratch/a.json"
refused "option -o: expected md or json" --compare "$scratch/a.json" "$scratch/a.json" -o csv

# -- tables of others: their columns, and what they published beside ours with as many threads, else the fastest

cat >"$scratch/published" <<'JSON'
{"program": "a program", "kind": "ik-sweep", "source": "a test", "url": "https://example.org/table",
 "date": "2024-12-06", "cpu": "some CPU", "bandwidth_gbps": 50, "bandwidth_source": "a test", "measured": "nothing",
 "rows": [{"model": "125m", "test": "pp4", "threads": 16, "ts": 100},
          {"model": "125m", "test": "tg2", "threads": 1, "ts": 12.5, "j_per_token": 0.25},
          {"model": "125m", "test": "tg3", "threads": 1, "ts": 77},
          {"model": "350m", "test": "tg2", "threads": 1, "ts": 66}]}
JSON
like() { bench --synth 125m -r 1 --published "$scratch/published" "$@"; }

like --like ik-sweep -p 4 -n 2 -d 0,3 -t 1,2 >"$scratch/md"
[ "$(grep -c '^| PP | TG | N_KV | T_PP s | S_PP t/s | T_TG s | S_TG t/s |$' "$scratch/md")" = 2 ] ||
    fail "$(cat "$scratch/md")"
for row in '| 4 | 2 | 0 |' '| 4 | 2 | 3 |'; do
    [ "$(grep -cF "$row" "$scratch/md")" = 2 ] || fail "a sweep for each number of threads: $(cat "$scratch/md")"
done
awk -F' [|] ' 'function far(seconds, speed, tokens) { # seconds are shown to 1 ms
        return seconds * speed < tokens - 0.0006 * speed || seconds * speed > tokens + 0.0006 * speed }
    /^[|] 4 / { if (far($4, $5, 4) || far($6, $7, 2)) exit 1 }' \
    "$scratch/md" || fail "seconds times tokens per second: $(cat "$scratch/md")"
one='[0-9.]*'
theirs='| 125m | pp4 | a program, some CPU | 16 | 100.00 |  | 50.0 |'
grep -q "^$theirs [12] | $one | $one | $one |  |$" "$scratch/md" || fail "a prompt beside: $(cat "$scratch/md")"
theirs='| 125m | tg2 | a program, some CPU | 1 | 12.50 | 0.250 | 50.0 |'
grep -q "^$theirs 1 | [0-9.]* | $one | $one | [0-9][0-9.]* |$" "$scratch/md" ||
    fail "decoding beside: $(cat "$scratch/md")"
grep -q '| tg3 |\|^| 350m |\|Ryzen' "$scratch/md" && fail "what was not run is not beside: $(cat "$scratch/md")"
grep -q 'https://example.org/table' "$scratch/md" || fail "no source in: $(cat "$scratch/md")"
like --like llama-bench -p 4 -n 2 -t 1 >"$scratch/md"
grep -q '^| bitnet synthetic 125m | .* MiB | .* M | .* | 1 | tg2 | .* ± 0.00 |$' "$scratch/md" ||
    fail "$(cat "$scratch/md")"
grep -q 'a program' "$scratch/md" && fail "a table of another kind is beside: $(cat "$scratch/md")"
like --like bitnet.cpp -t 1 -o json >"$scratch/json"
decoded 'check("rows", #d, 1) check("the test", d[1].n_prompt .. " " .. d[1].n_gen, "0 128")' <"$scratch/json" || exit 1
like --like bitnet.cpp -n 2 -t 1 >"$scratch/md"
grep -q '^| bitnet synthetic 125m | 1 | tg2 | [0-9.]* | .*|$' "$scratch/md" || fail "$(cat "$scratch/md")"
bench --like bitnet.cpp -n 128 -r 1 -t 1 --memory 200M >"$scratch/md" # of the sizes of such tables, one fits
grep -q '^| 125m | tg128 | .*i7-13700H' "$scratch/md" || fail "no size that fits: $(cat "$scratch/md")"
grep -q '^100b: skipped: .*memory' "$scratch/err" || fail "no word of what does not fit: $(cat "$scratch/err")"
fails 5 "expected memory for one of the sizes" --like bitnet.cpp --memory 70M

refused "option --like: expected bitnet.cpp, llama-bench or ik-sweep" --like other
refused "option --published: expected --like" --published "$scratch/published"
refused "option -o: expected md or json" --like ik-sweep -o csv
fails 3 "none" --like ik-sweep --published "$scratch/none"
for change in 's/"kind"/"sort"/' 's/"cpu": "some CPU"/"cpu": 5/' 's/50,/0,/' 's/"ts": 77/"ts": -7/' 's/"rows"/"row"/' \
    's/"threads": 16/"threads": "16"/' 's/\[{/[7, {/' 's/^/[/' '$d'; do
    sed "$change" "$scratch/published" >"$scratch/bad"
    fails 3 "$scratch/bad: " --like ik-sweep --synth 125m -p 4 -n 0 -r 1 --published "$scratch/bad"
done

# -- resident memory: packed weights, head and its copy, cache and 64 MiB, so the file's own weights (128 MiB) are gone

machine() { od -An -tx2 -j18 -N2 "$1"; } # of an ELF file
if [ "$(machine "$tritune")" != "$(machine "$(command -v od)")" ] || grep -q __asan_init "$tritune"; then
    echo "resident memory: not that of the program where it is emulated or sanitized"
else
    "$tritune" synth --hidden 2048 --layers 8 --heads 16 --ffn 8192 --vocab 4096 --out "$scratch/model" 2>"$scratch/err" ||
        fail "synth: $(cat "$scratch/err")"
    bench -m "$scratch/model" -p 32 -n 1 -r 1 -t 2 -o json >"$scratch/json"
    decoded 'local screen, cache = 4096 * (2048 + 12), 8 * 33 * 2 * 2048 * 2
        local most = d[2].model_size + screen + cache + 64 * 2 ^ 20
        check("weights", d[2].model_size > 128 * 2 ^ 20, true)
        check(("resident: %.0f of at most %.0f"):format(d[2].peak_rss_mib * 2 ^ 20, most),
            d[2].peak_rss_mib * 2 ^ 20 <= most, true)' <"$scratch/json" || exit 1
fi

# -- a line of JSON as soon as a test is done: the last test is still running when the first is shown

bench -p 4 -n 2 -d 3 -t 1 -r 2 -o jsonl >"$scratch/jsonl"
[ "$(wc -l <"$scratch/jsonl")" = 2 ] || fail "JSON lines: $(cat "$scratch/jsonl")"
sed '1s/^/[/; 1s/$/,/; $s/$/]/' "$scratch/jsonl" >"$scratch/json"
decoded 'check("lines", #d, 2) check("samples", #d[1].samples_ts, 2) check("tokens", d[2].n_gen, 2)' <"$scratch/json" ||
    exit 1
mkfifo "$scratch/pipe"
"$tritune" bench -p 1 -n 100000 -t 1 -r 1 --isa c -ctk q8_0 -o jsonl >"$scratch/pipe" 2>"$scratch/err" &
running=$!
read -r line <"$scratch/pipe"
kill -INT $running
wait $running
[[ $line == *'"n_prompt":1,'* ]] || fail "JSON lines: expected the first test while the second runs, found: $line"

# -- Ctrl-C: what is done is shown; on a busy machine it may come before anything is

for seconds in 4 10 30; do
    timeout --preserve-status -s INT $seconds "$tritune" bench -p 0 -n 16 -t 1 -r 10000 --isa c -o json \
        >"$scratch/json" 2>"$scratch/err"
    code=$?
    [ $code = 130 ] && grep -q avg_ts "$scratch/json" && break
done
[ $code = 130 ] || fail "Ctrl-C: expected exit code 130, got $code: $(cat "$scratch/err")"
grep -q interrupted "$scratch/err" || fail "Ctrl-C: expected a word about it"
decoded 'check("rows", #d, 1) check("some samples", #d[1].samples_ts < 10000, true)' <"$scratch/json" || exit 1
exit 0
