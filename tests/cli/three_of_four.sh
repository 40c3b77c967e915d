#!/bin/bash
# Models with exactly one zero in every four weights: the same logits at 1.25 bits a weight as at two, whatever the ISA and
# from a packed file, too; every other model is refused there with the place of the first weight that will not do.
set -u
tritune=$1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
small=(--hidden 256 --layers 3 --heads 4 --kv-heads 2 --ffn 768 --vocab 700)
words="one two three four five six"

fail() {
    echo "three_of_four: $*"
    exit 1
}

refuses() { # STATUS PATTERN WORDS...
    local expected=$1 pattern=$2 found=0
    shift 2
    "$tritune" "$@" >"$scratch/out" 2>"$scratch/err" || found=$?
    [ $found = "$expected" ] || fail "$*: expected exit $expected, found $found: $(cat "$scratch/err")"
    grep -q -- "$pattern" "$scratch/err" || fail "$*: no word of \"$pattern\": $(cat "$scratch/err")"
}

logits() { "$tritune" logits -p "$words" --greedy 4 --json "$@" 2>"$scratch/err" || fail "logits $*: $(cat "$scratch/err")"; }

for type in i2_s tq1_0 f16; do
    "$tritune" synth "${small[@]}" --three-of-four --type $type --out "$scratch/m.gguf" 2>"$scratch/err" ||
        fail "synth --type $type: $(cat "$scratch/err")"
    expected=$(logits -m "$scratch/m.gguf" --bits 2 -t 1)
    [ -n "$expected" ] && [ "$(logits -m "$scratch/m.gguf" --bits 1.25 -t 2)" = "$expected" ] || fail "$type: other logits"
    [ "$(logits -m "$scratch/m.gguf" --bits 1.25 -t 2 --ffn sparse)" = "$expected" ] || fail "$type: other logits, sparse"
done
for isa in $("$tritune" kernels --json | luajit -e 'for _, isa in ipairs(require "cjson".decode(io.read "*a").isas) do
        if isa.present then print(isa.name) end end'); do
    [ "$(logits -m "$scratch/m.gguf" --bits 1.25 --isa "$isa")" = "$expected" ] || fail "$isa: other logits"
done

# -- a packed file stays where it is at 1.25 bits, and becomes two elsewhere

"$tritune" convert "$scratch/m.gguf" "$scratch/p.gguf" --type tritune --bits 1.25 >/dev/null || fail "convert"
[ "$(logits -m "$scratch/p.gguf" --bits 1.25)" = "$expected" ] || fail "packed: other logits"
grep -q 'packed anew' "$scratch/err" && fail "packed anew: $(cat "$scratch/err")"
[ "$(logits -m "$scratch/p.gguf" --bits 2)" = "$expected" ] || fail "packed, as two bits: other logits"
"$tritune" convert "$scratch/m.gguf" "$scratch/two.gguf" --type tritune --bits 2 >/dev/null || fail "convert"
[ "$(logits -m "$scratch/two.gguf" --bits 1.25)" = "$expected" ] || fail "from two bits: other logits"

# -- what the file is like

"$tritune" inspect "$scratch/m.gguf" | grep -q 'exactly one zero in every four weights in 21 of 21' || fail "inspect"
"$tritune" inspect "$scratch/m.gguf" --json | grep -q '"three_of_four": true' || fail "inspect --json"

# -- memory decides where nobody else does

"$tritune" bench "${small[@]/--ffn/--ffn-size}" --hidden 2048 --ffn-size 8192 --three-of-four --memory 100M -p 0 -n 2 -r 1 \
    >"$scratch/out" 2>"$scratch/err" && grep -q 'packed to 1.25 bits' "$scratch/err" || fail "auto: $(cat "$scratch/err")"

# -- others are refused

"$tritune" synth "${small[@]}" --out "$scratch/n.gguf" 2>/dev/null || fail synth
refuses 4 'tensor blk\.0\.attn_[qkv]\.weight, row [0-9]*: expected one zero in columns [0-9]* to [0-9]*' \
    logits -m "$scratch/n.gguf" --bits 1.25 -p x
"$tritune" inspect "$scratch/n.gguf" | grep -q 'Three of four' && fail "inspect: an ordinary model"
"$tritune" convert "$scratch/n.gguf" "$scratch/q.gguf" --type tritune --bits 2 >/dev/null || fail "convert"
refuses 4 'needs a model trained with exactly one zero' logits -m "$scratch/q.gguf" --bits 1.25 -p x
refuses 4 'add --three-of-four' bench --synth 125m --bits 1.25 -p 0 -n 1 -r 1
refuses 4 'a scale for each matrix or row' bench --synth 125m --three-of-four --group 64 --bits 1.25 -p 0 -n 1 -r 1
refuses 2 'found both' synth "${small[@]}" --three-of-four --zeros 0.3 --out "$scratch/x.gguf"
refuses 2 'expected auto, 2, 1.6 or 1.25, found "1.5"' logits -m "$scratch/n.gguf" --bits 1.5 -p x

# -- in memory

"$tritune" bench --synth 125m --three-of-four --bits 1.25 -p 0 -n 4 -r 1 -o json 2>/dev/null >"$scratch/out" ||
    fail "bench --synth 125m"
luajit -e 'for _, r in ipairs(require("cjson").decode(io.read("*a"))) do
    assert(r.bytes_per_token.weights * 8 < 1.4 * 103809024, r.bytes_per_token.weights) end' <"$scratch/out" 2>"$scratch/err" ||
    fail "bench: more than 1.25 bits and padding: $(cat "$scratch/err")"
