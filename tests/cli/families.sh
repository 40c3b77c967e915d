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

check() { # NAME ARCHITECTURE, of a file that is there
    local file=$scratch/$1.gguf expected found options
    "$tritune" inspect "$file" >"$scratch/out" || fail "$1: inspect"
    grep -q "\b$2\b" "$scratch/out" || fail "$1: inspect does not name $2: $(head -n 5 "$scratch/out")"
    "$tritune" run -m "$file" -p "hello" -n 4 --temp 0 -c 32 >/dev/null 2>"$scratch/err" ||
        fail "$1: run: $(cat "$scratch/err")"
    expected=$(logits "$1" --isa c -t 1) || fail "$expected"
    for options in "-t 1" "-t 2" "-t 2 --isa c" "-t 2 -ub 2"; do
        # shellcheck disable=SC2086
        found=$(logits "$1" $options) || fail "$found"
        [ "$found" = "$expected" ] || fail "$1: other logits with $options than with --isa c -t 1"
    done
}

synth() { # NAME WORDS
    "$tritune" synth "${@:2}" --out "$scratch/$1.gguf" 2>"$scratch/err" || fail "$1: synth: $(cat "$scratch/err")"
}

for family in $families; do
    synth "$family" --family "$family" "${small[@]}"
    check "$family" "$family"
done

# -- sizes of every kind, but for layers and tokens

while read -r size family; do
    synth "$size" "$size" --layers 1 --vocab 600
    check "$size" "$family"
done <<END
2b4t bitnet-b1.58
xl bitnet
3b bitnet
falcon3-1b llama
embedding-0.6b qwen3
embedding-270m gemma3
END
"$tritune" inspect "$scratch/embedding-0.6b.gguf" | grep -q 'blk.0.ffn_down_norm_in' || fail "embedding-0.6b: no norms"
"$tritune" inspect "$scratch/embedding-270m.gguf" | grep -q 'gemma3.pooling_type .* 3' || fail "embedding-270m: pooling"

# -- the same weights in each type of file, the same logits

wide=("${small[@]}" --ffn 512)
for type in i2_s tq1_0 tq2_0 q2_0 f16; do
    synth $type "${wide[@]}" --type $type
    "$tritune" inspect "$scratch/$type.gguf" | grep -qi "ffn_down.* $type " || fail "$type: inspect"
    found=$(logits $type) || fail "$found"
    [ "$found" = "${expected_of_type:=$found}" ] || fail "$type: other logits than i2_s"
done
"$tritune" synth "${small[@]}" --type tq2_0 --out "$scratch/m.gguf" 2>"$scratch/err"
[ $? = 2 ] && grep -q 'ffn_down: TQ2_0 stores groups of 256 trits; .* multiples of 256' "$scratch/err" ||
    fail "$(cat "$scratch/err")"

synth grouped --family qwen3 "${small[@]}" --type q2_0 --group 64
check grouped qwen3
synth packed --family qwen3 "${small[@]}" --type tritune --group 64
check packed qwen3
[ "$(logits packed)" = "$(logits grouped)" ] || fail "packed: other logits than from scales of groups unpacked"

# -- a family decides on the activation, and keeps its name where a file of so many layers would be taken for another

"$tritune" synth --family llama --act relu2 "${small[@]}" --out "$scratch/m.gguf" 2>"$scratch/err"
[ $? = 2 ] && grep -q 'expected what --family llama has, found relu2' "$scratch/err" || fail "$(cat "$scratch/err")"
"$tritune" synth --family bitnet-b1.58 "${small[@]}" --layers 24 --out "$scratch/m.gguf" 2>"$scratch/err" &&
    "$tritune" inspect "$scratch/m.gguf" | grep -q 'bitnet-25' || fail "24 layers: $(cat "$scratch/err")"
exit 0
