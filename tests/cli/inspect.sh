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
            trits = trits + 1
        end
    end
    check("ternary tensors", trits, 42)
' <"$scratch/json" || exit 1

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
exit 0
