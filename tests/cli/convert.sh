#!/bin/bash
# convert: the packed file runs with the same logits here and under other kernels, holds what inspect says, is refused
# when damaged, and no mistake costs a file. Every encoding keeps the trits, on the way there and back.
tritune=$1 root=$2
model=$root/tests/model/tiny-tales-i2_s.gguf
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
fail() { echo "FAILED: $*"; failed=1; }
logits() { "$tritune" logits -p "Once upon a time" --greedy 4 --json "$@" 2>"$dir/said"; }

"$tritune" convert "$model" "$dir/packed.gguf" --type tritune >"$dir/out" || fail "convert"
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

"$tritune" convert "$model" "$dir/screened.gguf" --type tritune --head screened >"$dir/out" || fail "convert --head screened"
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
"$tritune" convert "$dir/screened.gguf" "$dir/full.gguf" --type tritune --head full >"$dir/out" || fail "convert --head full"
cmp "$dir/packed.gguf" "$dir/full.gguf" || fail "a copy left out is not as if there had been none"

sum=$(cksum <"$dir/packed.gguf")
ln -s packed.gguf "$dir/link.gguf"
refused 2 "another file" convert "$dir/packed.gguf" "$dir/link.gguf" --type tritune
refused 2 "writes i2_s, tq1_0, tq2_0, tritune" convert "$model" "$dir/packed.gguf" --type q2_k
refused 2 "IN OUT" convert "$model"
refused 3 "cannot be opened" convert "$dir/missing.gguf" "$dir/new.gguf" --type tritune
[ "$(cksum <"$dir/packed.gguf")" = "$sum" ] || fail "a refused conversion changed a file"
[ -e "$dir/new.gguf" ] && fail "a refused conversion left a file"

refused 5 "--memory" logits -p x -m "$model" --memory 1M
refused 2 "--memory" logits -p x -m "$model" --memory many
refused 2 "--bits" logits -p x -m "$model" --bits 3
"$tritune" convert "$dir/packed.gguf" "$dir/again.gguf" --type tritune >"$dir/out" && cmp "$dir/packed.gguf" "$dir/again.gguf" ||
    fail "a packed file converted for the same machine is another"
# -- encodings: the same trits, and where the scale is the same the same logits

hash_of() { sed -n 's/^trits //p' "$dir/told"; }
to() { "$tritune" convert "$@" >"$dir/told" 2>"$dir/said" || fail "convert $*: $(cat "$dir/said")"; }

to "$model" "$dir/i2_s.gguf"
trits=$(hash_of)
[ ${#trits} = 16 ] || fail "no hash of trits: $(cat "$dir/told")"
grep -q "change of a scale 0$" "$dir/told" || fail "I2_S changes a scale: $(cat "$dir/told")"
[ "$(logits -m "$dir/i2_s.gguf")" = "$expected" ] || fail "other logits from I2_S"
for type in tq1_0 tq2_0; do
    to "$model" "$dir/$type.gguf" --type $type
    [ "$(hash_of)" = "$trits" ] || fail "$type: other trits"
    grep -q "change of a scale 0.000385, of blk.4.ffn_up.weight" "$dir/told" || fail "$type: $(cat "$dir/told")"
    to "$dir/$type.gguf" "$dir/back.gguf" --exact
    [ "$(hash_of)" = "$trits" ] || fail "$type and back: other trits"
    logits -m "$dir/$type.gguf" >"$dir/$type.json"
    [ "$(logits -m "$dir/back.gguf")" = "$(cat "$dir/$type.json")" ] || fail "$type and back: other logits"
done
cmp "$dir/tq1_0.json" "$dir/tq2_0.json" || fail "other logits from TQ1_0 than from TQ2_0"
to "$dir/packed.gguf" "$dir/back.gguf"
cmp "$dir/back.gguf" "$dir/i2_s.gguf" || fail "packed and back is another file"
to "$model" "$dir/packed2.gguf" --type tritune
[ "$(hash_of)" = "$trits" ] || fail "packed: other trits"

# -- scales of groups are packed, too

grouped() { # NAME OPTIONS
    "$tritune" synth --family qwen3 --layers 2 --heads 4 --kv-heads 2 --vocab 600 "${@:2}" --out "$dir/$1.gguf" \
        2>"$dir/said" || fail "synth $1: $(cat "$dir/said")"
    to "$dir/$1.gguf" "$dir/$1-packed.gguf" --type tritune
    "$tritune" inspect "$dir/$1-packed.gguf" >"$dir/out" || fail "inspect $1-packed"
    [ "$(grep -c "mapped as it is" "$dir/out")" = 4 ] || fail "$1: what is mapped: $(cat "$dir/out")"
    "$tritune" inspect --strict "$dir/$1-packed.gguf" >"$dir/out" || fail "$1: strict: $(cat "$dir/out")"
    same_weights "$1" "$1-packed"
}

same_weights() { # NAME NAME
    local options
    [ "$("$tritune" inspect --hash "$dir/$1.gguf")" = "$("$tritune" inspect --hash "$dir/$2.gguf")" ] ||
        fail "$2: other hashes than $1"
    for options in "-t 1" "-t 2" "-t 2 --isa c"; do
        # shellcheck disable=SC2086
        logits -m "$dir/$1.gguf" $options >"$dir/expected" || fail "$1: $(cat "$dir/said")"
        # shellcheck disable=SC2086
        logits -m "$dir/$2.gguf" $options | cmp - "$dir/expected" ||
            fail "$2: other logits than $1 with $options"
    done
}

grouped g64 --hidden 256 --ffn 384 --type q2_0 --group 64
grouped g256 --hidden 512 --ffn 768 --type tq2_0 --group 256
refused 4 "as TQ2_0: expected groups of a multiple of 256 columns, found groups of 64" \
    convert "$dir/g64-packed.gguf" "$dir/new.gguf" --type tq2_0
refused 4 "as I2_S: expected one scale" convert "$dir/g256-packed.gguf" "$dir/new.gguf"
for type in tq1_0 tq2_0; do
    to "$dir/g256-packed.gguf" "$dir/g256-back.gguf" --type $type --exact
    same_weights g256 g256-back
done
to "$dir/g64-packed.gguf" "$dir/g64-again.gguf" --type tritune
cmp "$dir/g64-packed.gguf" "$dir/g64-again.gguf" || fail "packed groups converted for the same machine are others"
cp "$dir/g64-packed.gguf" "$dir/damaged.gguf"
at=$("$tritune" inspect "$dir/g64-packed.gguf" | awk '$1 == "blk.1.down.scales" { print $5 + 100 }')
[ "${at:-0}" -gt 0 ] || fail "no blk.1.down.scales in inspect"
printf '\x3c\x3c' | dd of="$dir/damaged.gguf" bs=1 seek="$at" conv=notrunc status=none
refused 3 "blk.1.down.scales.*damaged" inspect "$dir/damaged.gguf"

for type in f16 q8_0 q6_k q4_0; do
    to "$model" "$dir/embedding.gguf" --embedding $type
    "$tritune" inspect "$dir/embedding.gguf" | grep "token_embd.weight" | grep -qi " $type " ||
        fail "--embedding $type: $("$tritune" inspect "$dir/embedding.gguf" | grep token_embd)"
    logits -m "$dir/embedding.gguf" >"$dir/out" || fail "--embedding $type does not run"
done

if [ -d "$root/../shared/model/hf" ]; then
    to "$root/../shared/model/hf" "$dir/hf.gguf"
    [ "$(hash_of)" = "$trits" ] || fail "other trits from the Hugging Face folder"
else
    echo "convert: the model as Hugging Face saves it is not there; skipped"
fi

# -- what cannot be, and leaves what was there

echo before >"$dir/kept.gguf"
refused 4 "exact refuses" convert "$model" "$dir/kept.gguf" --type tq2_0 --exact
"$tritune" synth --hidden 320 --layers 1 --heads 5 --ffn-size 512 --vocab 512 --out "$dir/odd.gguf" >"$dir/out" 2>&1 ||
    fail "synth: $(cat "$dir/out")"
refused 4 "blk.0.attn_q.weight as TQ1_0: expected rows of a multiple of 256 weights, found 320" \
    convert "$dir/odd.gguf" "$dir/kept.gguf" --type tq1_0
refused 4 "token_embd.weight as Q6_K" convert "$dir/odd.gguf" "$dir/kept.gguf" --embedding q6_k
refused 2 "option --type" convert "$model" "$dir/kept.gguf" --type q4_0
refused 2 "option --embedding" convert "$model" "$dir/kept.gguf" --embedding i2_s
refused 2 "option --embedding" convert "$model" "$dir/kept.gguf" --type tritune --embedding f16
[ "$(cat "$dir/kept.gguf")" = before ] || fail "a refusal costs the file that was there"
refused 1 "nowhere" convert "$model" "$dir/nowhere/out.gguf"
refused 3 "GGUF" convert "$root/README.md" "$dir/new.gguf"
to "$model" "$dir/new.gguf" --dry-run --embedding q4_0
grep -q "would be written: 42 matrices in I2_S, 1 float tensors in another type" "$dir/told" || fail "$(cat "$dir/told")"
[ -e "$dir/new.gguf" ] && fail "--dry-run writes"
ls "$dir" | grep -q tmp && fail "something half-written stays: $(ls "$dir")"

exit $failed
