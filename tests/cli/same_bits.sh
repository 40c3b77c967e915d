#!/bin/bash
# The same model and prompt give the same bytes of logits on every ISA, with any number of threads, and
# however the prompt is cut into passes; perplexity likewise.
tritune=$1 root=$2
model=$root/tests/model/tiny-tales-i2_s.gguf
prompt="Once upon a time there was an old bear who lived by the river with his two little cubs. One day"
failed=0
story=$(mktemp)
trap 'rm -f "$story"' EXIT

logits() { "$tritune" logits -m "$model" -p "$prompt" --greedy 16 --json "$@"; }
perplexity() { "$tritune" perplexity -m "$model" -f "$story" -c 64 --json "$@"; }

expected=$(logits --isa c -t 1) || { echo "FAILED: logits --isa c -t 1"; exit 1; }
compare() {
    if [ "$(logits "$@")" != "$expected" ]; then
        echo "FAILED: other logits with $*"
        failed=1
    fi
}

small=$(logits -t 1 -ctk q8_0 -ctv q8_0) || { echo "FAILED: logits -ctk q8_0 -ctv q8_0"; exit 1; }
compare_small() {
    if [ "$(logits -ctk q8_0 -ctv q8_0 "$@")" != "$small" ]; then
        echo "FAILED: other logits from q8_0 caches with $*"
        failed=1
    fi
}

loss=
if head -c 1200 "$root/tests/text/story.txt" >"$story"; then
    loss=$(perplexity --isa c -t 2) || { echo "FAILED: perplexity --isa c -t 2"; exit 1; }
else
    echo "skipped perplexity: tests/text/story.txt is not there"
fi
compare_loss() {
    if [ -n "$loss" ] && [ "$(perplexity "$@")" != "$loss" ]; then
        echo "FAILED: another perplexity with $*"
        failed=1
    fi
}

isas=$("$tritune" kernels --json | luajit -e '
    for _, isa in ipairs(require "cjson".decode(io.read "*a").isas) do
        print(isa.name .. (isa.present and "" or " absent"))
    end') || { echo "FAILED: kernels --json"; exit 1; }
[ -n "$isas" ] || { echo "FAILED: kernels --json names no ISA"; exit 1; }

while read -r isa absent; do
    if [ -n "$absent" ]; then
        echo "skipped $isa: not on this CPU"
        continue
    fi
    for threads in 1 2 4; do
        compare --isa "$isa" -t "$threads"
    done
    compare --isa "$isa" -t 2 -ub 1
    compare --isa "$isa" -t 2 -ub 1 --ffn sparse
    compare --isa "$isa" -t 3 -ub 4 --ffn auto
    compare --isa "$isa" -t 3 -ub 7
    compare_loss --isa "$isa" -t 2
    compare_small --isa "$isa" -t 2 -ub 11
done <<<"$isas"
compare -t 1
compare -t 2 -ub 5
compare -t 2 --core-weights 3,1
compare -t 3 --core-weights 1,1000,9 -ub 6
compare_loss -t 1 -ub 9
exit $failed
