#!/bin/bash
# tritune run, logits, perplexity: what options do, and that mistakes are told with the right exit code.
tritune=$1 root=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "run: $*"
    exit 1
}

# expect CODE TEXT COMMAND...: exit code, and a text on stderr (none: "")
expect() {
    local code=$1 text=$2 got
    shift 2
    "$@" >"$scratch/out" 2>"$scratch/err"
    got=$?
    [ $got = "$code" ] || fail "$*: expected exit code $code, got $got: $(tail -3 "$scratch/err")"
    grep -qF -e "$text" "$scratch/err" || fail "$*: expected '$text' in: $(cat "$scratch/err")"
}

run() { "$tritune" run -p "Once upon a time" -n 24 "$@" 2>/dev/null; }
same() { [ "$1" = "$2" ] || fail "$3: expected '$1', found '$2'"; }

# -- stories

greedy=$(run --temp 0)
same "Once upon a time, there was a little girl named Lily." "${greedy:0:53}" "the greedy story"
same "$greedy" "$(run --temp 0 -t 3 -ub 2)" "threads and batches"
same "$greedy" "$(run --temp 0 -t 2 -tb 3 --cpu-strict 1 --cpu-strict-batch 0 --huge-pages 0)" "teams and pages"
same "$greedy" "$(run --temp 0 -t 3 -tb 1 --cpu-strict-batch 1)" "one thread for prompts"
same "$greedy" "$(run --temp 0 --top-k 1 --top-p 0.1 --repeat-penalty 1)" "greedy is greedy"
same "$greedy" "$(run --top-k 1)" "top-k 1 is greedy"
story=$(run -s 7 --temp 1.5)
same "$story" "$(run -s 7 --temp=1.5)" "the same seed"
[ "$story" != "$(run -s 8 --temp 1.5)" ] || fail "seeds 7 and 8 tell the same"
[ "$greedy" != "$(run --temp 0 --repeat-penalty 1.8)" ] || fail "a repeat penalty changed nothing"
same "${greedy#Once upon a time}" "$(run --temp 0 --no-display-prompt)" "without the prompt"
for draft in 0 1 7 16; do
    same "$greedy" "$(run --temp 0 --draft $draft)" "drafts of $draft"
    same "$story" "$(run -s 7 --temp 1.5 --draft-max $draft)" "sampling and drafts of $draft"
done
printf 'Once upon a time\n' >"$scratch/prompt"
same "$greedy" "$("$tritune" run -f "$scratch/prompt" -n 24 --temp 0 2>/dev/null)" "a prompt from a file"
same $'a\n\tA\\q' "$("$tritune" run -p 'a\n\t\x41\q' -n 0 2>/dev/null)" "escapes"
same 'a\n' "$("$tritune" run -p 'a\n' -n 0 --no-escape 2>/dev/null)" "no escapes"
expect 0 "decoded 12 tokens" "$tritune" run -p "Once upon a time" --temp 0 -c 16
expect 0 "prompt 1 tokens" "$tritune" run -p "" -n 1
expect 0 "drafted 0, accepted 0" "$tritune" run -p a -n 1
expect 0 "tokens/s; seed 1" "$tritune" run -p a -n 1 -s 1 --draft 0
expect 0 "seed 4294967294" "$tritune" run -p a -n 1 -s 4294967294

# -- mistakes

expect 2 "run " "$tritune"
expect 2 'unknown subcommand "walk"' "$tritune" walk
expect 2 "did you mean --temp?" "$tritune" run -p a --tempp 1
expect 2 "unknown option --nothing-like-it" "$tritune" run -p a --nothing-like-it
expect 2 "expected N behind it" "$tritune" run -p a -n
expect 2 "a whole number" "$tritune" run -p a -n 1.5
expect 2 "a whole number" "$tritune" run -p a -n ""
expect 2 "option --temp: expected a number" "$tritune" run -p a --temp warm
expect 2 "expected 0 to 1" "$tritune" run -p a --top-p 2
expect 2 "expected -1 (any)" "$tritune" run -p a -s 4294967296
expect 2 "expected no value" "$tritune" run -p a --escape=no
expect 2 "found neither" "$tritune" run
expect 2 "found both" "$tritune" run -p a -f "$scratch/prompt"
expect 2 'unexpected word "b"' "$tritune" run -p a b
expect 2 "option -t: expected 1 to 512" "$tritune" run -p a -t 513
expect 2 "option --draft: expected 0 to" "$tritune" run -p a --draft -1
expect 2 "option -ctk" "$tritune" run -p a -ctk q4_0
expect 2 "option --isa" "$tritune" run -p a --isa nonsense
expect 2 "variable TRI_ISA" env TRI_ISA=nonsense "$tritune" run -p a
expect 1 "more than the context of 3" "$tritune" run -p "Once upon a time" -c 3
expect 3 "cannot be opened" "$tritune" run -p a -m "$scratch/nothing"
expect 3 "found a folder without these" "$tritune" run -p a -m "$scratch"
expect 3 "cannot be opened" "$tritune" run -f "$scratch/nothing"
expect 2 "like 1,2,3" "$tritune" logits --tokens 1,,2
expect 2 "like 1,2,3" "$tritune" logits --tokens ""
expect 2 "found 4096" "$tritune" logits --tokens 1,4096
expect 2 "found both" "$tritune" logits --tokens 1 -p a
expect 1 "do not fit a context of 8" "$tritune" logits --tokens 1,2,3 --greedy 7 -c 8
expect 2 "expected -f FILE" "$tritune" perplexity
expect 2 "expected at least 4" "$tritune" perplexity -f "$scratch/prompt" -c 2
expect 1 "expected at least 1024 tokens" "$tritune" perplexity -f "$scratch/prompt"
if [ -w /dev/full ]; then
    expect 1 "No space left" bash -c "'$tritune' run -p a -n 4 >/dev/full"
    expect 1 "No space left" bash -c "'$tritune' logits -p a --json >/dev/full"
fi

# -- the rest

for command in run chat logits perplexity tokenize kernels selftest inspect bench; do
    "$tritune" $command --help | grep -q "usage: tritune $command" || fail "$command --help"
done
"$tritune" --version | grep -q "^tritune " || fail "--version"
"$tritune" --help | grep -q perplexity || fail "--help"

# far more text than there is time for; on a busy machine the first signal may come before there is anyone to catch it
for _ in $(seq 2000); do echo "Once upon a time, there was a little girl named Lily."; done >"$scratch/long"
for seconds in 1 3 9; do
    timeout --preserve-status -s INT $seconds "$tritune" perplexity -f "$scratch/long" --isa c >/dev/null 2>"$scratch/err"
    code=$?
    grep -q interrupted "$scratch/err" && break
done
[ $code = 130 ] || fail "Ctrl-C: expected exit code 130, got $code: $(cat "$scratch/err")"
grep -q interrupted "$scratch/err" || fail "Ctrl-C: expected a word about it"
exit 0
