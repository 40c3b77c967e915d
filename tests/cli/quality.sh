#!/bin/bash
# perplexity's other measures: equal to what logits gives, and files that are none of theirs refused.
set -u
tritune=$1 root=$2
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0
luajit "$root/tests/cli/quality.lua" "$tritune" "$root" "$dir" || failed=1

refused() { # STATUS WORDS ARGUMENTS...
    "$tritune" perplexity "${@:3}" >"$dir/out" 2>"$dir/err"
    local status=$?
    if [ $status != "$1" ] || ! grep -qE -- "$2" "$dir/err"; then
        echo "FAILED: ${*:3}: expected status $1 and $2, found $status: $(cat "$dir/err")"
        failed=1
    fi
}

tasks=$root/tests/text/hellaswag.txt
"$tritune" perplexity --hellaswag -f "$tasks" >"$dir/out" 2>/dev/null
grep -qE '^4	[0-9]+\.[0-9]{8}$' "$dir/out" || { echo "FAILED: rows: $(cat "$dir/out")"; failed=1; }
head -n 11 "$tasks" >"$dir/short.txt"
refused 3 "six lines for each task.*task 2" --hellaswag -f "$dir/short.txt"
sed '8s/.*/4/' "$tasks" >"$dir/label.txt"
refused 3 "label.txt:8: expected the number of the right ending" --hellaswag -f "$dir/label.txt"
refused 1 "task [1-4]: expected at most 8 tokens, found" --hellaswag -f "$tasks" -c 8
printf '0,No gap here,a,b,1\n' >"$dir/gap.csv"
refused 3 "gap.csv:1: .*no _" --winogrande -f "$dir/gap.csv"
printf '0,A _ gap,a,b,3\n' >"$dir/label.csv"
refused 3 "label.csv:1: .*no 1 or 2" --winogrande -f "$dir/label.csv"
for size in 3 6 30 60 $(($(stat -c %s "$dir/choice.bin") - 1)); do
    head -c $size "$dir/choice.bin" >"$dir/cut.bin"
    refused 3 "cut.bin: " --multiple-choice -f "$dir/cut.bin"
done
refused 3 "promises" --multiple-choice -f "$tasks"

refused 2 "expected --kl-divergence-base" --kl-divergence
refused 2 "expected one of" --hellaswag --winogrande -f "$tasks"
refused 2 "expected a text" --hellaswag -f "$tasks" --save-all-logits "$dir/x"
refused 3 "begins with" --kl-divergence --kl-divergence-base "$tasks"
damage() { # OFFSET BYTES
    cp "$dir/base.bin" "$dir/damaged.bin"
    printf "$2" | dd of="$dir/damaged.bin" bs=1 seek="$1" conv=notrunc status=none
}
head -c 5000 "$dir/base.bin" >"$dir/damaged.bin"
refused 3 "it was cut" --kl-divergence --kl-divergence-base "$dir/damaged.bin"
damage 8 '\377\377\377\377'
refused 3 "byte 8" --kl-divergence --kl-divergence-base "$dir/damaged.bin"
damage 27 '\177'
refused 3 "byte 24: expected a token" --kl-divergence --kl-divergence-base "$dir/damaged.bin"
damage 12 '\377\017' # 4095 take as many bytes as 4096
refused 1 "another vocabulary" --kl-divergence --kl-divergence-base "$dir/damaged.bin"
chunks=$(od -A n -t d4 -j 16 -N 4 "$dir/base.bin")
damage $((20 + 64 * chunks + 2)) '\300\177'
refused 3 "expected a scale" --kl-divergence --kl-divergence-base "$dir/damaged.bin"
refused 1 "cannot be written" -f "$root/tests/text/story.txt" -c 64 --save-all-logits /nonexistent/x
exit $failed
