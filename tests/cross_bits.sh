#!/usr/bin/env bash
# Another architecture gives the same bytes of logits and of text. Gets two commands: this machine's tritune
# and the other build's, the latter usually through an emulator; says why on failure.
here=$1 there=$2
prompt="Once upon a time there was an old bear who lived by the river with his two little cubs. One day"
failed=0

compare() { # WORDS...
    local expected got
    expected=$($here "$@") || { echo "FAILED: $here $*" && failed=1 && return; }
    got=$($there "$@") || { echo "FAILED: $there $*" && failed=1 && return; }
    [ -n "$got" ] && [ "$got" = "$expected" ] && return
    echo "FAILED: the builds differ: tritune $*"
    failed=1
}

for threads in 1 2; do
    compare logits -p "$prompt" --greedy 16 --json -t $threads
    compare logits -p "$prompt" --greedy 16 --json -t $threads --isa c
done
compare logits -p "$prompt" --json -ctk f16 -ctv f16 -ub 5
compare logits -p "$prompt" --json -ctk q8_0 -ctv q8_0 -ub 5
compare run -p "Once upon a time" -n 40 -s 7 --temp 0.7 --top-k 40
model=$(mktemp) && trap 'rm -f "$model"' EXIT
if $here synth --hidden 192 --layers 2 --heads 3 --ffn 320 --vocab 512 --three-of-four --out "$model" 2>/dev/null; then
    compare logits -m "$model" -p "$prompt" --json --bits 1.25
    compare logits -m "$model" -p "$prompt" --json --bits 1.25 --isa c
else
    echo "FAILED: synth --three-of-four" && failed=1
fi
exit $failed
