#!/bin/bash
# A small random model of every family: each subcommand reads it, and the same logits come out with one thread and
# two, by the linked kernels and by plain C.
set -u
tritune=$1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
small=(--hidden 256 --layers 2 --heads 4 --kv-heads 2 --ffn 384 --vocab 600)

fail() {
    echo "families: $*"
    exit 1
}

logits() { # FAMILY OPTIONS
    "$tritune" logits -m "$scratch/$1.gguf" --tokens 3,141,59,26,53,5 --json "${@:2}" 2>"$scratch/err" ||
        fail "$1: logits ${*:2}: $(cat "$scratch/err")"
}

list=$("$tritune" synth --family none "${small[@]}" --out "$scratch/none" 2>&1)
families=${list#*expected one of } families=${families%, found*} families=${families//,/}
[ "$(wc -w <<<"$families")" -ge 4 ] || fail "expected a list of families, found $list"

for family in $families; do
    file=$scratch/$family.gguf
    "$tritune" synth --family "$family" "${small[@]}" --out "$file" 2>"$scratch/err" ||
        fail "$family: synth: $(cat "$scratch/err")"
    "$tritune" inspect "$file" >"$scratch/out" || fail "$family: inspect"
    grep -q "\b$family\b" "$scratch/out" || fail "$family: inspect does not name it: $(head -n 5 "$scratch/out")"
    "$tritune" run -m "$file" -p "hello" -n 4 --temp 0 -c 32 >/dev/null 2>"$scratch/err" ||
        fail "$family: run: $(cat "$scratch/err")"
    expected=$(logits "$family" --isa c -t 1) || fail "$expected"
    for options in "-t 1" "-t 2" "-t 2 --isa c" "-t 2 -ub 2"; do
        # shellcheck disable=SC2086
        found=$(logits "$family" $options) || fail "$found"
        [ "$found" = "$expected" ] || fail "$family: other logits with $options than with --isa c -t 1"
    done
done

# -- the same weights in each type of file, the same logits

wide=("${small[@]}" --ffn 512)
for type in i2_s tq1_0 tq2_0 f16; do
    "$tritune" synth "${wide[@]}" --type $type --out "$scratch/$type.gguf" 2>"$scratch/err" ||
        fail "$type: synth: $(cat "$scratch/err")"
    "$tritune" inspect "$scratch/$type.gguf" | grep -qi "ffn_down.* $type " || fail "$type: inspect"
    found=$(logits $type) || fail "$found"
    [ "$found" = "${expected_of_type:=$found}" ] || fail "$type: other logits than i2_s"
done
"$tritune" synth "${small[@]}" --type tq2_0 --out "$scratch/m.gguf" 2>"$scratch/err"
[ $? = 2 ] && grep -q 'ffn_down: TQ2_0 stores groups of 256 trits; .* multiples of 256' "$scratch/err" ||
    fail "$(cat "$scratch/err")"

# -- a family decides on the activation, and keeps its name where a file of so many layers would be taken for another

"$tritune" synth --family llama --act relu2 "${small[@]}" --out "$scratch/m.gguf" 2>"$scratch/err"
[ $? = 2 ] && grep -q 'expected what --family llama has, found relu2' "$scratch/err" || fail "$(cat "$scratch/err")"
"$tritune" synth --family bitnet-b1.58 "${small[@]}" --layers 24 --out "$scratch/m.gguf" 2>"$scratch/err" &&
    "$tritune" inspect "$scratch/m.gguf" | grep -q 'bitnet-25' || fail "24 layers: $(cat "$scratch/err")"
exit 0
