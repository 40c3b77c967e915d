#!/bin/bash
# tritune bench --report and --replicate: a receipt fits its schema and is replicated; a forged one, a hostile one, one
# of another model, and kernels that are wrong are refused, each with its exit code and reason.
tritune=$1 root=${2:-.}
wrong=$(dirname "$tritune")/tests/tritune_wrong
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "receipt: $*"
    exit 1
}

expect() { # CODE WORDS COMMAND...: exits with the code, and says the words on stderr
    local code=$1 words=$2 found
    shift 2
    "$@" >"$scratch/out" 2>"$scratch/err"
    found=$?
    [ $found = "$code" ] || fail "$*: expected exit code $code, found $found: $(cat "$scratch/err")"
    [ -z "$words" ] || grep -q -- "$words" "$scratch/err" ||
        fail "$*: expected \"$words\", found: $(cat "$scratch/err")"
}

forged() { # LUA: on the receipt r
    luajit -e 'local json = require("cjson") json.encode_number_precision(14)
        local r = json.decode(io.read("*a")) '"$1"' io.write(json.encode(r))' <"$scratch/receipt" >"$scratch/forged"
}

small=(-p 8 -n 4 -r 2 -t 1)
expect 0 "" "$tritune" bench "${small[@]}" --report "$scratch/receipt"

# -- what it holds

grep -q '"samples_ts"' "$scratch/receipt" || fail "no samples"
for word in "$(hostname)" "$(id -un)" "$scratch" "$HOME"; do # whole: "root" or "vm" may be part of others
    [ -n "$word" ] && grep -qF "\"$word\"" "$scratch/receipt" && fail "the receipt tells \"$word\""
done
bash "$root/tests/cli/schema.sh" "$root/bench/schema/receipt.json" "$scratch/receipt" >"$scratch/out" 2>&1
code=$?
[ $code = 77 ] && cat "$scratch/out"
[ $code = 0 ] || [ $code = 77 ] || fail "schema: $(cat "$scratch/out")"
if [ $code = 0 ]; then
    forged 'r.rows[1].samples_ts = {} r.surplus = 1'
    bash "$root/tests/cli/schema.sh" "$root/bench/schema/receipt.json" "$scratch/forged" >/dev/null 2>&1 &&
        fail "the schema fits a receipt without samples"
fi

# -- again

expect 0 "" "$tritune" bench --replicate "$scratch/receipt"
grep -q '^consistent' "$scratch/out" || fail "replicated: $(cat "$scratch/out")"
[ "$(grep -c ' \.\. ' "$scratch/out")" = 2 ] || fail "expected two ratios with bounds, found: $(cat "$scratch/out")"

"$tritune" synth --hidden 256 --layers 2 --heads 4 --ffn 640 --vocab 700 --out "$scratch/one.gguf" 2>/dev/null ||
    fail "no model"
"$tritune" synth --hidden 256 --layers 2 --heads 4 --ffn 640 --vocab 700 -s 2 --out "$scratch/two.gguf" 2>/dev/null ||
    fail "no second model"
expect 0 "" "$tritune" bench "${small[@]}" -m "$scratch/one.gguf" --report "$scratch/of_file"
mv "$scratch/one.gguf" "$scratch/moved.gguf"
expect 2 "expected -m FILE" "$tritune" bench --replicate "$scratch/of_file"
expect 0 "" "$tritune" bench --replicate "$scratch/of_file" -m "$scratch/moved.gguf"
expect 6 "expected the model of trit hash" "$tritune" bench --replicate "$scratch/of_file" -m "$scratch/two.gguf"

# -- forged, hostile, missing

forged 'for _, row in ipairs(r.rows) do row.avg_ts = row.avg_ts * 2 end'
expect 6 "contradicts itself" "$tritune" bench --replicate "$scratch/forged"
forged 'r.machine.kernel = "another"'
expect 6 "checksum" "$tritune" bench --replicate "$scratch/forged"
forged 'r.rows = nil'
expect 3 'key "rows"' "$tritune" bench --replicate "$scratch/forged"
head -c 300 "$scratch/receipt" >"$scratch/forged"
expect 3 "expected JSON" "$tritune" bench --replicate "$scratch/forged"
head -c 100000 /dev/zero | tr '\0' '[' >"$scratch/forged"
expect 3 "nested" "$tritune" bench --replicate "$scratch/forged"
expect 3 "" "$tritune" bench --replicate "$scratch/nothing"
expect 1 "" "$tritune" bench "${small[@]}" --report "$scratch/no/such/folder"

# -- kernels that are wrong

expect 6 "ffn_down.weight, row 5, token 0" "$wrong" bench "${small[@]}" --report "$scratch/never"
[ -s "$scratch/out" ] && fail "a wrong kernel's result is printed: $(cat "$scratch/out")"
[ -e "$scratch/never" ] && fail "a wrong kernel has a receipt"
exit 0
