#!/bin/bash
# tritune synth: files that every other subcommand reads, the same bytes from the same words, and nothing left of what
# went wrong or was stopped. Small shapes, but for the one that has to take a while.
set -u
tritune=$1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
small=(--hidden 256 --layers 3 --heads 4 --kv-heads 2 --ffn 640 --vocab 700)

fail() {
    echo "synth: $*"
    exit 1
}

synth() {
    "$tritune" synth "$@" --out "$scratch/m.gguf" >"$scratch/out" 2>"$scratch/err" || fail "$*: $(cat "$scratch/err")"
}

only() { # NAMES: nothing else lies there
    local found
    found=$(cd "$scratch" && ls -- *gguf* 2>/dev/null | tr '\n' ' ')
    [ "$found" = "$1" ] || fail "expected the files \"$1\", found \"$found\""
}

# -- what is written is read

synth "${small[@]}"
only "m.gguf "
"$tritune" inspect "$scratch/m.gguf" >"$scratch/text"
grep -q 'GGUF version 3, .* 35 tensors' "$scratch/text" || fail "inspect: $(head -n 3 "$scratch/text")"
"$tritune" run -m "$scratch/m.gguf" -p "hello" -n 4 --temp 0 -c 32 >"$scratch/text" 2>"$scratch/err" &&
    grep -q '^prompt 5 tokens' "$scratch/err" || fail "run: $(cat "$scratch/err")"

# -- a file is the model that bench has in memory: as many weights, and zeros in the same places

options=(-p 0 -n 4 -r 1 -t 1 -o json)
facts() { luajit -e 'for _, r in ipairs(require("cjson").decode(io.read("*a"))) do
    print(r.model_n_params, r.bytes_per_token.weights, r.bytes_per_token.head, r.ffn_sparsity, r.down_sparsity) end'; }
for contents in "--seed 3" "--zeros 0.3 --ffn-sparsity 0.9" "--embedding q8_0 --head-type q6_k" "--act silu"; do
    # shellcheck disable=SC2086
    synth "${small[@]}" $contents
    "$tritune" bench -m "$scratch/m.gguf" "${options[@]}" 2>"$scratch/err" | facts >"$scratch/file"
    # shellcheck disable=SC2086
    "$tritune" bench "${small[@]/--ffn/--ffn-size}" $contents "${options[@]}" 2>>"$scratch/err" |
        facts >"$scratch/memory"
    [ -s "$scratch/file" ] && cmp -s "$scratch/file" "$scratch/memory" ||
        fail "$contents: file $(cat "$scratch/file"), memory $(cat "$scratch/memory") $(cat "$scratch/err")"
done

# -- the same words, the same bytes; other words, others

sum() { "$tritune" synth "${small[@]}" "$@" --out "$scratch/s.gguf" 2>/dev/null; cksum <"$scratch/s.gguf"; }
one=$(sum -t 1)
[ "$one" = "$(sum -t 3)" ] || fail "other bytes with other threads"
for words in "--seed 2" "--zeros 0.5" "--ffn-sparsity 0.8" "--type f16" "--embedding q8_0" "--head-type f16"; do
    # shellcheck disable=SC2086
    [ "$one" != "$(sum $words)" ] || fail "$words changes nothing"
done
"$tritune" convert "$scratch/s.gguf" "$scratch/packed.gguf" --type tritune || fail "convert"
before=$(ls "$scratch")
[ "$(sum --type tritune --head-type f16)" = "$(cksum <"$scratch/packed.gguf")" ] ||
    fail "another packed file than of convert"
[ "$(ls "$scratch")" = "$before" ] || fail "packing left $(ls "$scratch")"
rm "$scratch/s.gguf" "$scratch/packed.gguf"

# -- the sparsity that was asked for is measured, and printed

synth "${small[@]}" --ffn-sparsity 0.8
grep -qE 'relu\(gate\) is zero for 0\.(7[6-9]|8[0-4])' "$scratch/out" || fail "sparsity: $(cat "$scratch/out")"
synth "${small[@]}"
[ -s "$scratch/out" ] && fail "nothing was asked, but said $(cat "$scratch/out")"

# -- what cannot be written leaves what was there, and nothing else

before=$(cksum <"$scratch/m.gguf")
(ulimit -f 100 && "$tritune" synth "${small[@]}" --out "$scratch/m.gguf" 2>"$scratch/err")
[ $? = 1 ] && grep -q 'm.gguf: expected room for [0-9]* MiB, found File too large' "$scratch/err" ||
    fail "beyond the limit: $(cat "$scratch/err")"
only "m.gguf "
[ "$before" = "$(cksum <"$scratch/m.gguf")" ] || fail "beyond the limit: the file has changed"

# -- Ctrl-C

"$tritune" synth 2b4t --out "$scratch/l.gguf" 2>"$scratch/err" &
pid=$!
for ((i = 0; i < 1000; i++)); do
    compgen -G "$scratch/l.gguf.*" >/dev/null && break
    sleep 0.01
done
kill -INT $pid
wait $pid
[ $? = 130 ] && grep -q interrupted "$scratch/err" || fail "Ctrl-C: $(cat "$scratch/err")"
only "m.gguf "
exit 0
