#!/bin/bash
# Text to ids and back through the command line: exact bytes both ways, and one clear line for wrong input.
set -u
tritune=$1 root=$2
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
failed=0

wrong() {
    echo "tokenize: $*"
    failed=1
}

# prints WANT WORDS...: exactly this on stdout, nothing on stderr
prints() {
    local want=$1
    shift
    "$tritune" tokenize "$@" > "$out/stdout" 2> "$out/stderr" || wrong "$*: status $?: $(cat "$out/stderr")"
    [ -s "$out/stderr" ] && wrong "$*: on stderr: $(cat "$out/stderr")"
    printf '%s\n' "$want" | cmp -s - "$out/stdout" || wrong "$*: expected $want, found $(head -c 300 "$out/stdout")"
}

# refuses STATUS WORDS PATTERN: one line on stderr, nothing on stdout
refuses() {
    local status=$1 pattern=$2
    shift 2
    "$tritune" tokenize "$@" > "$out/stdout" 2> "$out/stderr" < /dev/null
    local found=$?
    if [ $found != "$status" ] || ! grep -q -- "$pattern" "$out/stderr"; then
        wrong "$*: expected status $status and /$pattern/, found $found: $(cat "$out/stderr")"
    fi
    [ -s "$out/stdout" ] && wrong "$*: on stdout: $(head -c 300 "$out/stdout")"
}

prints '{"tokens":[4094,594,586,258,449]}' -p 'Once upon a time' --json
prints '{"tokens":[594,586,258,449]}' -p 'Once upon a time' --json --no-bos
prints '{"tokens":[4095]}' -p '<|end_of_text|>' --json --no-bos
prints '{"tokens":[4094]}' -p '' --json
prints '{"tokens":[]}' -p '' --json --no-bos
prints '{"text":"Once upon a time"}' -p '4094 594,586 258, 449' --decode --json
prints '{"text":"<|begin_of_text|>Once"}' -p '4094 594' --decode --json --no-bos
prints '{"text":"Once"}' -p '594 4095' --decode --json --no-parse-special
prints '{"text":""}' -p '[]' --decode --json
prints '  4094 "<|begin_of_text|>"
   594 "Once"
   198 "\n"' -p $'Once\n'
"$tritune" tokenize -p '<|end_of_text|>' --json --no-parse-special | grep -q 4095 && wrong 'a control token was parsed'

# -- files: the same bytes come back ------------------------------------------------------------
printf 'cut \360\237\230 and \377\376 and \0 and \r\n' > "$out/broken.txt"
: > "$out/empty.txt"
for text in "$root"/tests/text/*.txt "$out"/*.txt "$tritune"; do
    head -c 200000 "$text" > "$out/text"
    for flags in '' --no-bos --no-parse-special '--no-bos --no-parse-special'; do
        # shellcheck disable=SC2086
        "$tritune" tokenize -f "$out/text" --json $flags > "$out/ids"
        # shellcheck disable=SC2086
        "$tritune" tokenize -f "$out/ids" --decode $flags | cmp - "$out/text" ||
            wrong "$text: $flags: not the same bytes"
    done
    "$tritune" tokenize -f "$out/text" --no-bos | sed 's/^ *//; s/ .*//' > "$out/ids"
    "$tritune" tokenize -f "$out/ids" --decode --no-bos | cmp - "$out/text" || wrong "$text: as lines: not the same bytes"
done
printf 'a\377b' > "$out/text"
"$tritune" tokenize -f "$out/text" --json > "$out/ids"
prints $'{"text":"a\xef\xbf\xbdb"}' -f "$out/ids" --decode --json
printf 'Once' | "$tritune" tokenize -f /dev/stdin --json | grep -q '594' || wrong 'a pipe is no file'

# -- wrong input ---------------------------------------------------------------------------------
refuses 2 'one of -p TEXT and -f FILE, found neither'
refuses 2 'found both' -p x -f "$out/text"
refuses 3 '/nonexistent: cannot be read' -f /nonexistent
refuses 3 "$out: cannot be read" -f "$out"
refuses 3 'magic' -m "$root/LICENSE" -p x
refuses 2 '4096 is no token' -p '1 4096' --decode
refuses 2 'is no token' -p '99999999999999999999999' --decode
refuses 2 '-1 is no token' -p '[-1]' --decode
refuses 2 'byte 2 of the ids' -p '1 x' --decode
refuses 2 'byte 0 of the ids' -p '-1' --decode
refuses 2 'broken JSON' -p '[1,' --decode
refuses 2 'an integer' -p '[1,"2"]' --decode
refuses 2 'expected {"tokens"' -p '{"ids":[1]}' --decode

# -- public vocabularies ---------------------------------------------------------------------------
vocab=$root/../shared/vocab
if [ -d "$vocab" ]; then
    prints '{"tokens":[128000,9906,4435]}' -m "$vocab/ggml-vocab-llama-bpe.gguf" -p 'Hello World' --json
    prints '{"tokens":[15496,2159]}' -m "$vocab/ggml-vocab-gpt-2.gguf" -p 'Hello World' --json
    prints '{"tokens":[1,15043,2787]}' -m "$vocab/ggml-vocab-llama-spm.gguf" -p 'Hello World' --json
    prints '{"text":"Hello World"}' -m "$vocab/ggml-vocab-llama-spm.gguf" -p '1 15043 2787' --decode --json
else
    echo "tokenize: $vocab is not there: public vocabularies skipped"
fi
exit $failed
