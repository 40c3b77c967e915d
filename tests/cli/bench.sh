#!/bin/bash
# tritune bench: rows, keys and arithmetic of the three outputs, and Ctrl-C. How fast anything is is not tested.
tritune=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "bench: $*"
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
grep -q '^model_filename,model_type,.*n_threads,.*n_prompt,n_gen,n_depth,avg_ts,stddev_ts,bytes_per_token_weights,' \
    "$scratch/csv" || fail "CSV: $(head -1 "$scratch/csv")"
[ "$(tr -cd ',\n' <"$scratch/csv" | sort -u | wc -l)" = 1 ] || fail "CSV: lines of different lengths"
grep -q '"dense","full","0","0","2","3","[0-9.]*","0","[0-9]*","2097152","' "$scratch/csv" || fail "CSV: $(tail -1 "$scratch/csv")"
bench -p 4 -n 2 -d 0,3 -t 1 -r 1 >"$scratch/md"
for test in "pp4" "tg2" "pp4 @ d3" "tg2 @ d3"; do
    grep -q "| bitnet-b1.58 .* 6.96 M .* $test | .* ± " "$scratch/md" || fail "no $test in: $(cat "$scratch/md")"
done
[ -s "$scratch/err" ] && fail "expected nothing on stderr, found: $(cat "$scratch/err")"

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

bench --hidden 64 --layers 1 --heads 2 --ffn-size 96 --vocab 50 -p 0 -n 1 -t 1 -r 1 >"$scratch/md"
grep -q 'bitnet-b1.58 synthetic by hand' "$scratch/md" || fail "by hand: $(cat "$scratch/md")"

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
