#!/bin/bash
# Wrong words, missing and foreign files: one line that says what was expected and found, and the documented status.
set -u
tritune=$1 root=$2
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
failed=0

# expect STATUS PATTERN WORDS...: on stderr, in one line (subcommand lists excepted), nothing on stdout
expect() {
    local status=$1 pattern=$2
    shift 2
    timeout 60 "$tritune" "$@" > "$out/stdout" 2> "$out/stderr" < /dev/null
    local found=$?
    if [ $found != "$status" ] || ! grep -qE -- "$pattern" "$out/stderr"; then
        echo "usage: tritune $*: expected status $status and /$pattern/, found $found: $(head -c 300 "$out/stderr")"
        failed=1
    fi
}

expect 2 'usage: tritune SUBCOMMAND'
expect 2 'unknown subcommand "frobnicate"' frobnicate
for command in run chat embed logits perplexity tokenize kernels selftest inspect bench roofline synth convert pull; do
    expect 2 "tritune $command: unknown option --frobnicate" $command --frobnicate
    "$tritune" $command --help | grep -q "usage: tritune $command" || { echo "usage: $command --help"; failed=1; }
done
expect 2 'did you mean --temp\?' run --tmep 0.5 -p x
expect 2 'option --temp: expected F behind it, found nothing' run -p x --temp
expect 2 'option --temp: expected a number, found "abc"' run -p x --temp abc
expect 2 'option -t: expected 1 to 512, found 0' run -p x -t 0
expect 2 'option -tb: expected 1 to 512, found 600' run -p x -tb 600
expect 2 'option --cpu-strict: expected 0 or 1, found "yes"' run -p x --cpu-strict yes
expect 2 'option --huge-pages: expected 0 or 1, found "2"' run -p x --huge-pages 2
expect 2 'expected 2 numbers from 1 to 1000.*found "0" as number 2' run -p x -t 2 --core-weights 1,0
expect 2 'found "2,1" as number 2' run -p x -t 2 --core-weights 3,2,1
expect 2 'found "3" as number 1' run -p x -t 2 --core-weights 3
expect 2 'found "" as number 1' run -p x -t 1 --core-weights ''
expect 2 'option -ctk: expected f32, f16 or q8_0, found "q9"' run -p x -ctk q9
expect 2 'option --ffn: expected dense, sparse or auto, found "some"' run -p x --ffn some
expect 2 'nonsense' run -p x --isa nonsense
expect 2 'expected relu2 or silu, found "gelu"' run -p x --activation gelu
expect 2 'expected' run
expect 2 'expected one of -p TEXT and --tokens IDS' logits
expect 2 'expected an id from 0 to 4095, found 4096' logits --tokens 1,4096
expect 2 'expected ids like 1,2,3' logits --tokens 1,,2
expect 2 'expected' tokenize
expect 2 'expected a model .GGUF, safetensors' inspect
expect 2 'expected OWNER/REPO' pull
expect 2 'expected one of -m FILE and -hf REPO, found both' run -hf a/b -m x -p x
expect 2 'option -p: expected numbers from 0 to 16777216 with commas, .*found ""' bench -p 512,
expect 2 'option -n: expected numbers .* found "x"' bench -n 1,x
expect 2 'option -d: expected numbers .* found "-1"' bench -d -1
expect 2 'option -t: expected numbers from 1 to 512 with commas, .*found "0"' bench -t 1,0
expect 2 'option -d: expected at most 1024 numbers' bench -d "$(seq -s, 1100)"
expect 2 'option -r: expected 1 to 10000, found 0' bench -r 0
expect 2 'option -o: expected md, csv, json or jsonl, found "sql"' bench -o sql
expect 2 'expected one of the sizes 2b4t, .*found "6b"' bench --synth 6b
expect 2 'expected one of -m FILE and a random model .--synth SIZE., found both' bench --synth 2b4t -m x
expect 2 'expected one of -m FILE and a random model .--synth SIZE., found both' bench --act silu -m x
expect 2 'option --bandwidth: expected a model' roofline --bandwidth 200
expect 2 'option --bandwidth: expected 0.001 to 1000000, found -3' roofline --synth 3b --bandwidth -3
expect 2 'option --bandwidth: expected no number of threads' roofline --synth 3b --bandwidth 3 -t 2
expect 2 'option --name: expected --bandwidth' roofline --name M2
expect 2 'option --ffn: expected dense where nothing is run' roofline --synth 3b --ffn sparse --no-run
expect 2 'option -d: expected numbers .* found "x"' roofline --synth 3b --bandwidth 3 -d x
expect 2 'option -t: expected numbers from 1 to 512' roofline -t 0
expect 2 'expected one of the sizes 2b4t, .*found "6b"' roofline --synth 6b
expect 2 'expected one of -m FILE and a random model .--synth SIZE., found both' roofline --synth 3b -m x
expect 2 'option --bits: expected auto, 2' roofline --synth 3b --bandwidth 3 --bits 3
expect 2 'expected --out FILE' synth 2b4t
expect 2 'expected one of the sizes 2b4t, .*found "6b"' synth 6b --out x
expect 2 'expected --layers, or one of the sizes' synth --hidden 64 --out x
expect 2 'multiple of the 3 heads, found 64' synth --hidden 64 --layers 1 --heads 3 --ffn 64 --vocab 600 --out x
expect 2 'option --kv-heads: expected a divisor of the 20 heads, found 3' synth 2b4t --kv-heads 3 --out x
expect 2 'expected heads of an even size' synth 2b4t --head-dim 11 --out x
expect 2 'option --type: expected i2_s, .* or tritune, found "q4"' synth 2b4t --type q4 --out x
expect 2 'option --embedding: expected f16, q8_0 or q6_k, found "q4"' synth 2b4t --embedding q4 --out x
expect 2 'embedding: Q6_K stores rows in blocks of 256.*found 3200' synth 3b --embedding q6_k --out "$out/x"
expect 2 'option --act: expected silu or relu2, found "gelu"' synth 2b4t --act gelu --out x
expect 2 'option --ffn-sparsity: expected a model with squared ReLU.*--act relu2' synth 3b --ffn-sparsity 0.5 --out x
expect 2 'option --ffn-sparsity: expected 0 to 0.99, found 1' synth 2b4t --ffn-sparsity 1 --out x
expect 2 'expected at least 512 tokens' synth 2b4t --vocab 300 --out "$out/x"
expect 2 'expected a regular file' synth 2b4t --out /dev/full
expect 1 '/nonexistent/x: cannot be written' synth 2b4t --out /nonexistent/x
expect 1 'x: expected room for [0-9]* MiB, found' synth 100b --type f16 --out "$out/x"
expect 2 'expected something to run, found -p 0 and -n 0' bench -p 0 -n 0
expect 2 'option -ctv: expected f32, f16 or q8_0, found "q9"' bench -ctv q9
expect 3 '/nonexistent: cannot be opened' bench -m /nonexistent

expect 3 '/nonexistent: cannot be opened' run -m /nonexistent -p x
expect 3 'expected a GGUF file, or a folder with config.json' run -m / -p x
expect 3 'expected the magic number "GGUF"' run -m "$root/LICENSE" -p x
expect 3 'expected the magic number "GGUF"' inspect "$root/LICENSE"
expect 3 '/nonexistent: cannot be opened' perplexity -f /nonexistent
expect 1 'expected at least 1024 tokens' perplexity -f "$root/LICENSE"

model=$root/tests/model/tiny-tales-i2_s.gguf
head -c 100000 "$model" > "$out/cut.gguf"
expect 3 'cut.gguf: ' run -m "$out/cut.gguf" -p x
head -c 3000000 "$model" > "$out/cut.gguf"
expect 3 'cut.gguf: ' logits -m "$out/cut.gguf" -p x
expect 1 'context' logits -c 4 -p "Once upon a time there was"

# what is printed where: data alone on stdout
"$tritune" run -p "Once" -n 4 -s 1 --temp 0 2> /dev/null > "$out/stdout" || failed=1
grep -q "tokens/s" "$out/stdout" && { echo "usage: run prints its speed on stdout"; failed=1; }
"$tritune" kernels --json | luajit -e 'local t = require("cjson").decode(io.read("*a"))
    assert(#t.isas > 0 and #t.kernels > 0 and #t.jobs > 0 and t.jobs[1].kernels[1].tokens == 1)' ||
    { echo "usage: kernels --json cannot be read"; failed=1; }
# nothing of a file or a word steers the terminal
printf 'a\n\x1b[2J\xff\nb\nc\nd\ne\n' > "$out/steers.txt"
expect 3 'found "\\x1b\[2J\\xff"' perplexity --hellaswag -f "$out/steers.txt"
expect 3 '\\x1b\[2J: cannot be opened' run -p x -m $'\e[2J'
mkfifo "$out/pipe"
expect 3 'found a pipe' run -p x -m "$out/pipe"

"$tritune" --help > /dev/full 2> "$out/stderr" && { echo "usage: a full disk went unnoticed"; failed=1; }
"$tritune" run -p x > /dev/full 2> "$out/stderr" && { echo "usage: a full disk went unnoticed"; failed=1; }
exit $failed
