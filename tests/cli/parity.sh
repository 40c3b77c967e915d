#!/bin/bash
# The embedded model against its reference: ids, logits, greedy text, held-out loss. The same of its master weights, as
# Hugging Face's library saved them.
luajit "$2/tests/cli/parity.lua" "$1" "$2" "$2/tests/model/tiny-tales-i2_s.gguf" || exit 1
folder=$2/../shared/model/hf
[ -d "$folder" ] || { echo "skipped the model in safetensors: ../shared/model/hf is not there" && exit 0; }
echo "master weights:"
exec luajit "$2/tests/cli/parity.lua" "$1" "$2" "$folder"
