#!/bin/bash
# A random Llama as a GGUF file, as a folder of Hugging Face with packed weights and with floats, and those converted: the
# same logits and tokens, to the last bit.
tritune=$1 root=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "huggingface: $*"
    exit 1
}

logits() {
    "$tritune" logits -m "$1" -p "a text of a few tokens" --greedy 8 --json
}

model=$scratch/llama.gguf
"$tritune" synth --out "$model" --family llama --hidden 256 --layers 2 --heads 8 --kv-heads 4 --ffn-size 512 \
    --vocab 600 --head-type f16 >/dev/null 2>&1 || fail "no model"
expected=$(logits "$model") || fail "the GGUF file does not run"
for form in packed floats; do
    folder=$scratch/$form
    mkdir "$folder"
    luajit "$root/tests/cli/huggingface.lua" "$model" "$folder" $form || fail "$form: cannot be written"
    for path in "$folder" "$folder/model.safetensors"; do
        [ "$(logits "$path")" = "$expected" ] || fail "$form: other logits from $path"
    done
    for type in i2_s tritune; do
        "$tritune" convert "$folder" "$folder.gguf" --type $type >/dev/null || fail "$form: is not converted to $type"
        [ "$(logits "$folder.gguf")" = "$expected" ] || fail "$form: other logits as $type"
    done
done
