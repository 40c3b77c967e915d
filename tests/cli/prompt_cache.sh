#!/bin/bash
# run --prompt-cache: the same text with and without, files that are refused; and what happens when the context is full.
tritune=$1 root=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cache=$scratch/cache.bin

fail() {
    echo "prompt_cache: $*"
    exit 1
}

# run TEXT OPTION...: what is told, the report in $scratch/err
run() {
    local text=$1
    shift
    "$tritune" run -p "$text" --temp 0 -n 20 "$@" 2>"$scratch/err"
}
same() { [ "$1" = "$2" ] || fail "$3: expected '$1', found '$2'"; }
reports() { grep -qF -e "$1" "$scratch/err" || fail "$2: expected '$1' in: $(cat "$scratch/err")"; }

# expect CODE TEXT OPTION...
expect() {
    local code=$1 text=$2 got
    shift 2
    run "Once upon a time" "$@" >/dev/null
    got=$?
    [ $got = "$code" ] || fail "$*: expected exit code $code, got $got: $(cat "$scratch/err")"
    reports "$text" "$*"
}

# -- reuse

short="Once upon a time" long="Once upon a time, there was a little dog"
plain_short=$(run "$short") plain_long=$(run "$long")
same "$plain_short" "$(run "$short" --prompt-cache "$cache")" "a new file"
reports "0 of them from" "a new file"
same "$plain_short" "$(run "$short" --prompt-cache "$cache" -t 3 -c 64)" "the same prompt"
reports "prompt 5 tokens, 4 of them from" "the same prompt"
cp "$cache" "$scratch/before.bin"
same "$plain_long" "$(run "$long" --prompt-cache "$cache" --prompt-cache-ro)" "a longer prompt"
reports "5 of them from" "a longer prompt"
cmp -s "$cache" "$scratch/before.bin" || fail "--prompt-cache-ro wrote"
same "$plain_long" "$(run "$long" --prompt-cache "$cache" --prompt-cache-all)" "with all that follows"
[ "$(stat -c %s "$cache")" -gt "$(stat -c %s "$scratch/before.bin")" ] || fail "--prompt-cache-all saved no more"
same "$(run "$plain_long")" "$(run "$plain_long" --prompt-cache "$cache" --prompt-cache-ro)" "going on"
reports "prompt 31 tokens, 30 of them from" "going on"
same "$plain_short" "$(run "$short" --prompt-cache "$cache" --prompt-cache-ro)" "of a longer file the beginning"
same "$(run "The dog")" "$(run "The dog" --prompt-cache "$cache")" "nothing in common"
reports "prompt 3 tokens, 1 of them from" "nothing in common"
[ -z "$(find "$scratch" -name '*.tmp')" ] || fail "something stays beside the file"

# -- refusals

expect 4 "use -ctk" --prompt-cache "$cache" -ctk q8_0
head -c 1000 "$cache" >"$scratch/cut.bin"
expect 3 "damaged or cut short" --prompt-cache "$scratch/cut.bin"
cp "$root/README.md" "$scratch/text"
expect 3 "something else" --prompt-cache "$scratch/text"
cmp -s "$root/README.md" "$scratch/text" || fail "a file that is no prompt cache was written over"
expect 3 "non-empty file" --prompt-cache "$scratch"
expect 1 "cannot be written" --prompt-cache "$scratch/nowhere/cache.bin"
expect 2 "expected --prompt-cache FILE" --prompt-cache-all
expect 2 "expected --prompt-cache FILE" --prompt-cache-ro
expect 2 "found both" --prompt-cache "$cache" --prompt-cache-ro --prompt-cache-all

# -- a full context

expect 0 "the context of 16 tokens is full" -n -1 -c 16
expect 0 "decoded 12 tokens" -n -1 -c 16 --no-context-shift
run "$short" -n 12 -c 16 >/dev/null
grep -q "is full" "$scratch/err" && fail "a text as long as asked is no full context"
shifted=$(run "$short" -n 60 -c 24 --context-shift --keep 3 --draft 0)
reports "decoded 60 tokens" "a shifted context"
reports "tokens dropped" "a shifted context"
same "$shifted" "$(run "$short" -n 60 -c 24 --context-shift --keep 3)" "shifts and drafts"
same "$shifted" "$(run "$short" -n 60 -c 24 --context-shift --keep 3 -t 3 -ub 4)" "shifts and threads"
same "${plain_short:0:60}" "${shifted:0:60}" "before it is full"
[ "$shifted" != "$(run "$short" -n 60 -c 24 --context-shift)" ] || fail "--keep changed nothing"
expect 0 "is full" -n -1 -c 16 --no-context-shift
expect 2 "expected to keep 0 to" -n 60 -c 6 --context-shift --keep -1
expect 2 "expected --context-shift with it" --keep 3
expect 2 "found both" --context-shift --no-context-shift
