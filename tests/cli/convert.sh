#!/bin/bash
# convert: the packed file runs with the same logits here and under other kernels, holds what inspect says, is refused
# when damaged, and no mistake costs a file.
tritune=$1 root=$2
model=$root/tests/model/tiny-tales-i2_s.gguf
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
fail() { echo "FAILED: $*"; failed=1; }
logits() { "$tritune" logits -p "Once upon a time" --greedy 4 --json "$@" 2>"$dir/said"; }

"$tritune" convert "$model" "$dir/packed.gguf" --type tritune || fail "convert"
expected=$(logits -m "$model")
[ "$(logits -m "$dir/packed.gguf")" = "$expected" ] || fail "other logits from the packed file"
[ -s "$dir/said" ] && grep "packed anew" "$dir/said" && fail "packed again where it was packed"
[ "$(logits -m "$dir/packed.gguf" --bits 1.6)" = "$expected" ] || fail "other logits with --bits 1.6"
grep -q "packed anew" "$dir/said" || fail "packed again without a word"
[ "$(logits -m "$dir/packed.gguf" --isa c)" = "$expected" ] || fail "other logits from the packed file with --isa c"

"$tritune" inspect "$dir/packed.gguf" >"$dir/out" || fail "inspect"
grep -q "mapped as it is" "$dir/out" || fail "inspect does not say what is mapped"

refused() { # STATUS WORDS COMMAND...
    local status=$1 words=$2
    "$tritune" "${@:3}" >"$dir/out" 2>&1
    [ $? = "$status" ] || fail "${*:3}: expected exit status $status: $(tail -n 1 "$dir/out")"
    grep -q -- "$words" "$dir/out" || fail "${*:3}: expected $words: $(tail -n 1 "$dir/out")"
}

cp "$dir/packed.gguf" "$dir/damaged.gguf"
size=$(stat -c %s "$dir/damaged.gguf")
at=$("$tritune" inspect "$dir/packed.gguf" | awk '$1 == "blk.1.down.packed" { print $5 + 100 }')
[ "$at" -gt 0 ] && [ "$at" -lt "$size" ] || fail "no blk.1.down.packed in inspect"
printf '\xff\xff\xff' | dd of="$dir/damaged.gguf" bs=1 seek="$at" conv=notrunc status=none
refused 3 "damaged" inspect "$dir/damaged.gguf"

# -- the copy of the output matrix goes along, where one is made

"$tritune" convert "$model" "$dir/screened.gguf" --type tritune --head screened || fail "convert --head screened"
"$tritune" inspect "$dir/packed.gguf" | grep -q output.screen && fail "a copy for so small a matrix"
at=$("$tritune" inspect "$dir/screened.gguf" | awk '$1 == "output.screen.codes" { print $NF + 5 }')
[ "${at:-0}" -gt 0 ] || fail "no output.screen.codes in inspect"
for file in packed screened; do
    "$tritune" run -m "$dir/$file.gguf" -p "Once upon a time" -n 40 -s 3 --head screened >"$dir/$file.txt" 2>"$dir/err" ||
        fail "run: $(cat "$dir/err")"
done
cmp "$dir/packed.txt" "$dir/screened.txt" || fail "another text by the copy of the file"
cp "$dir/screened.gguf" "$dir/damaged.gguf"
printf '\x7e\x7f' | dd of="$dir/damaged.gguf" bs=1 seek="$at" conv=notrunc status=none
refused 3 "output.screen.*damaged" inspect "$dir/damaged.gguf"
"$tritune" convert "$dir/screened.gguf" "$dir/full.gguf" --type tritune --head full || fail "convert --head full"
cmp "$dir/packed.gguf" "$dir/full.gguf" || fail "a copy left out is not as if there had been none"

sum=$(cksum <"$dir/packed.gguf")
ln -s packed.gguf "$dir/link.gguf"
refused 2 "another file" convert "$dir/packed.gguf" "$dir/link.gguf" --type tritune
refused 2 "writes tritune" convert "$model" "$dir/packed.gguf" --type tq2_0
refused 2 "--type" convert "$model" "$dir/new.gguf"
refused 3 "cannot be opened" convert "$dir/missing.gguf" "$dir/new.gguf" --type tritune
[ "$(cksum <"$dir/packed.gguf")" = "$sum" ] || fail "a refused conversion changed a file"
[ -e "$dir/new.gguf" ] && fail "a refused conversion left a file"

refused 5 "--memory" logits -p x -m "$model" --memory 1M
refused 2 "--memory" logits -p x -m "$model" --memory many
refused 2 "--bits" logits -p x -m "$model" --bits 3
"$tritune" convert "$dir/packed.gguf" "$dir/again.gguf" --type tritune && cmp "$dir/packed.gguf" "$dir/again.gguf" ||
    fail "a packed file converted for the same machine is another"
exit $failed
