#!/bin/bash
# tritune inspect: tables and JSON of good files, one clear error and the exit code for others.
tritune=$1 root=$2
model=$root/tests/model/tiny-tales-i2_s.gguf
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "inspect: $*"
    exit 1
}

# expect CODE TEXT COMMAND...: exit code, and a text on stdout or stderr
expect() {
    local code=$1 text=$2 got
    shift 2
    "$@" >"$scratch/out" 2>&1
    got=$?
    [ $got = "$code" ] || fail "$*: expected exit code $code, got $got: $(tail -3 "$scratch/out")"
    grep -qF -e "$text" "$scratch/out" || fail "$*: expected '$text' in: $(head -c 2000 "$scratch/out")"
}

# Little-endian words of a file written by hand.
u32() { printf "\\x$(printf %02x $(($1 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x0\\x0"; }
u64() { u32 "$1"; u32 0; }
text() { u64 ${#1}; printf %s "$1"; }
key() { text "$1"; u32 8; u64 ${#2}; printf %s "$2"; }

expect 0 'bitnet-b1.58: 6 layers, hidden size 256' "$tritune" inspect "$model"
expect 0 'ternary matrices         42 tensors         5898240 values' "$tritune" inspect "$model"
expect 0 'gate_up     256 x 2048' "$tritune" inspect "$model"

"$tritune" inspect --json "$model" >"$scratch/json" || fail "--json failed"
luajit -e '
    local cjson = require "cjson"
    local d = cjson.decode(io.read("*a"))
    local function check(what, got, expected)
        if got ~= expected then
            print(("inspect --json: %s is %s, expected %s"):format(what, tostring(got), expected))
            os.exit(1)
        end
    end
    check("tensors", #d.tensors, 68)
    check("keys", #d.keys, 23)
    check("architecture", d.keys[1].value, "bitnet-b1.58")
    check("layers", d.config.layers, 6)
    check("roles packed", #d.packed, 4)
    check("copy of the head", d.screen.bytes, d.config.vocab * (d.config.hidden + 12))
    check("copy of a small head", d.screen.auto, false)
    local left, trits = d.bytes, 0
    for _, c in ipairs(d.sizes) do left = left - c.bytes end
    check("all but keys and padding within the file", left > 0, true)
    for _, t in ipairs(d.tensors) do
        if t.encoding == "I2_S" then
            check("trits of " .. t.name, t.trits.minus + t.trits.zero + t.trits.plus,
                  t.shape[1] * t.shape[2])
            check("a scale of " .. t.name, t.scale > 0, true)
            check("kind of scale of " .. t.name, t.scaling, "tensor")
            check("entropy of " .. t.name, t.entropy > 1.5 and t.entropy <= 1.5849626, true)
            check("reason for " .. t.name, #t.why > 0, true)
            trits = trits + 1
        end
    end
    check("ternary tensors", trits, 42)
    check("findings", #d.findings, 0)
    check("no hash unless asked for", d.hash, nil)
' <"$scratch/json" || exit 1

# scales of groups: the kernels that run are those of groups, in both forms
"$tritune" synth --family qwen3 --hidden 256 --layers 1 --heads 4 --ffn 512 --vocab 512 --type q2_0 --group 64 \
    --out "$scratch/groups.gguf" 2>"$scratch/out" || fail "synth: $(cat "$scratch/out")"
expect 0 'scales of 64 columns' "$tritune" inspect "$scratch/groups.gguf"
expect 0 'on this machine (c)' "$tritune" inspect --isa c "$scratch/groups.gguf"
expect 2 "ISA 'x' is not linked" "$tritune" inspect --isa x "$scratch/groups.gguf"
expect 0 '"group": 64' "$tritune" inspect --json "$scratch/groups.gguf"
"$tritune" inspect "$scratch/groups.gguf" | grep -E '^ +[0-9]+ tokens? ' >"$scratch/out"
grep -vE 'g64(_|$)' "$scratch/out" && fail "kernels of whole rows for groups of 64"
[ -s "$scratch/out" ] || fail "no kernels for groups of 64"
expect 0 'scales of 64 (' "$tritune" kernels -m "$scratch/groups.gguf"

# a vocabulary alone, with a name that would clear the screen and is no UTF-8
{ printf 'GGUF'; u32 3; u64 0; u64 2
  key general.architecture bitnet-b1.58; key general.name $'\e[2J\xff"'; } >"$scratch/names.gguf"
expect 0 '"\x1b[2J\xff\""' "$tritune" inspect "$scratch/names.gguf"
expect 0 'Model: not one to run' "$tritune" inspect "$scratch/names.gguf"
expect 0 '\u001B[2J' "$tritune" inspect --json "$scratch/names.gguf"

# damage in the weights: all the rest is shown, then the error
cp "$model" "$scratch/damaged.gguf" && chmod u+w "$scratch/damaged.gguf"
printf '\xff' | dd of="$scratch/damaged.gguf" bs=1 seek=2232160 conv=notrunc status=none
expect 3 'byte 2232160 of the file is 0xff, which holds code 3' "$tritune" inspect "$scratch/damaged.gguf"
expect 3 'output_norm.weight' "$tritune" inspect "$scratch/damaged.gguf"
expect 3 '"damage"' "$tritune" inspect --json "$scratch/damaged.gguf"

head -c 100000 "$model" >"$scratch/cut.gguf"
expect 3 'truncated' "$tritune" inspect "$scratch/cut.gguf"
expect 3 'no such file' env LC_ALL=C bash -c '"$0" inspect "$1" 2>&1 | tr N n; exit ${PIPESTATUS[0]}' "$tritune" "$scratch/none.gguf"
expect 3 'found a folder without these' "$tritune" inspect "$scratch"
expect 2 'expected a model' "$tritune" inspect
expect 2 '--jsno' "$tritune" inspect --jsno "$model"

# the weights are the same in every encoding, the scales where they are stored as they were
hash_of() { "$tritune" inspect --hash "$1" 2>"$scratch/err" || fail "--hash $1: $(cat "$scratch/err")"; }
hash_of "$model" >"$scratch/hash"
grep -qxE 'trits [0-9a-f]{16}' <(head -n 1 "$scratch/hash") || fail "--hash: $(cat "$scratch/hash")"
grep -qxE 'scales [0-9a-f]{16}' <(tail -n 1 "$scratch/hash") || fail "--hash: $(cat "$scratch/hash")"
[ "$(wc -l <"$scratch/hash")" = 2 ] || fail "--hash: expected two lines: $(cat "$scratch/hash")"
for type in i2_s tq1_0 tq2_0 tritune; do
    "$tritune" convert "$model" "$scratch/$type.gguf" --type $type >"$scratch/out" 2>"$scratch/err" ||
        fail "convert: $(cat "$scratch/err")"
    hash_of "$scratch/$type.gguf" >"$scratch/other"
    cmp -s <(head -n 1 "$scratch/hash") <(head -n 1 "$scratch/other") || fail "$type: other trits"
    case $type in i2_s | tritune) cmp -s "$scratch/hash" "$scratch/other" || fail "$type: other scales" ;; esac
    expect 0 Keys "$tritune" inspect --strict "$scratch/$type.gguf"
done
"$tritune" inspect --hash --json "$model" | grep -qF "\"trits\": \"$(sed -n 's/trits //p' "$scratch/hash")\"" ||
    fail "--hash --json without the hash"
"$tritune" inspect --hash "$scratch/damaged.gguf" >"$scratch/out" 2>&1
[ $? = 3 ] && grep -q 2232160 "$scratch/out" || fail "--hash of damage: $(cat "$scratch/out")"
printf '\x16' | dd of="$scratch/damaged.gguf" bs=1 seek=2232160 conv=notrunc status=none
[ "$(hash_of "$scratch/damaged.gguf" | head -n 1)" != "$(head -n 1 "$scratch/hash")" ] ||
    fail "another trit, the same hash"
expect 3 'block_count' "$tritune" inspect --hash "$scratch/names.gguf"

# floats that are trits
"$tritune" synth --family llama --hidden 256 --layers 2 --heads 4 --ffn 512 --vocab 512 --type f16 \
    --out "$scratch/f16.gguf" 2>"$scratch/err" || fail "synth: $(cat "$scratch/err")"
expect 0 'floats that are all 0 or of one magnitude' "$tritune" inspect "$scratch/f16.gguf"
expect 0 '14 tensors, floats' "$tritune" inspect "$scratch/f16.gguf"

# what a careful reader finds: told in any case, refused by --strict
cp "$model" "$scratch/odd.gguf" && chmod u+w "$scratch/odd.gguf"
printf rest >>"$scratch/odd.gguf"
sed -i 's/tokenizer\.ggml\.pre/tokenizer.ggml.per/' "$scratch/odd.gguf"
expect 0 'tokenizer.ggml.pre is missing' "$tritune" inspect "$scratch/odd.gguf"
expect 3 '4 bytes behind the last tensor' "$tritune" inspect --strict "$scratch/odd.gguf"
expect 3 'found 2 ("Findings" above)' "$tritune" inspect --strict "$scratch/odd.gguf"
expect 3 '"findings": [' "$tritune" inspect --strict --json "$scratch/odd.gguf"
expect 3 'tokenizer.ggml.pre is missing' "$tritune" inspect --strict --hash "$scratch/odd.gguf"
exit 0
