#!/bin/bash
# Texts as vectors: of length 1, one for each line, the same bits whatever computes them and however they are fed.
set -u
tritune=$1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "embed: $*"
    exit 1
}

embed() { # FILE OPTIONS
    "$tritune" embed "${@:2}" -m "$scratch/$1" 2>"$scratch/err" || fail "$1: ${*:2}: $(cat "$scratch/err")"
}

for family in qwen3 gemma3; do
    "$tritune" synth --family $family --hidden 256 --layers 2 --heads 4 --kv-heads 2 --ffn 384 --vocab 600 \
        --out "$scratch/$family" 2>"$scratch/err" || fail "$family: synth: $(cat "$scratch/err")"
    printf 'a first line\nanother, somewhat longer line\r\nx' >"$scratch/text"
    lines=$(embed $family -f "$scratch/text") || fail "$lines"
    [ "$(wc -l <<<"$lines")" = 3 ] || fail "$family: expected three lines, found $(wc -l <<<"$lines")"
    awk -v n=256 '{ s = 0; for (i = 1; i <= NF; i++) s += $i * $i
        if (NF != n || s < 0.99999 || s > 1.00001) { print NF " values of length^2 " s; exit 1 } }' <<<"$lines" ||
        fail "$family: expected vectors of 256 values and of length 1"
    for options in "-t 1 --isa c" "-t 2" "-t 2 -ub 3"; do
        # shellcheck disable=SC2086
        [ "$(embed $family -f "$scratch/text" $options)" = "$lines" ] || fail "$family: other bits with $options"
    done
    second=$(embed $family -p 'another, somewhat longer line') || fail "$second"
    [ "$second" = "$(sed -n 2p <<<"$lines")" ] || fail "$family: a text alone differs from the same one behind others"
    [ "$(embed $family -p 'a first line' --pooling mean)" != "$(sed -n 1p <<<"$lines")" ] ||
        fail "$family: the mean is the last token's"
    json=$(embed $family -f "$scratch/text" --json) || fail "$json"
    for i in 0 1 2; do
        values=$(sed 's/.*"index":'$i',"embedding":\[\([^]]*\)\].*/\1/' <<<"$json")
        [ "$(tr ',' ' ' <<<"$values" | awk '{ print NF }')" = 256 ] || fail "$family: JSON: text $i has no 256 values"
    done
    "$tritune" run -m "$scratch/$family" -p hello -n 2 -c 32 >/dev/null 2>"$scratch/err" ||
        fail "$family: a tied head does not run: $(cat "$scratch/err")"
done

"$tritune" embed 2>"$scratch/err"
[ $? = 2 ] && grep -q 'expected one of -p TEXT and -f FILE, found neither' "$scratch/err" || fail "$(cat "$scratch/err")"
"$tritune" embed -p x --pooling max 2>"$scratch/err"
[ $? = 2 ] && grep -q 'expected mean, cls or last, found "max"' "$scratch/err" || fail "$(cat "$scratch/err")"
: >"$scratch/empty"
"$tritune" embed -f "$scratch/empty" 2>"$scratch/err"
[ $? = 2 ] && grep -q 'expected at least one line' "$scratch/err" || fail "$(cat "$scratch/err")"
"$tritune" embed -f "$scratch/none" 2>"$scratch/err"
[ $? = 3 ] && grep -q 'none: cannot be read' "$scratch/err" || fail "$(cat "$scratch/err")"
exit 0
