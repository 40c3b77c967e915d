#!/bin/bash
# Conversations with the embedded model: over a pipe, over a terminal, and what is refused.
set -u
tritune=$1 root=$2
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
export XDG_STATE_HOME=$scratch/state
failed=0

fail() {
    echo "FAILED: $*"
    sed 's/^/  | /' "$scratch/err" | tail -n 12
    failed=1
}

# talks STATUS INPUT OPTION...: ends so; what it says is in $scratch/out and $scratch/err
talks() {
    local status=$1 input=$2
    shift 2
    printf "$input" | timeout 60 "$tritune" chat --temp 0 "$@" >"$scratch/out" 2>"$scratch/err"
    local found=$?
    [ $found = "$status" ] || fail "chat $*: expected status $status, found $found"
}

says() { grep -q -- "$1" "$scratch/err" || fail "expected a word of: $1"; }

# -- a line without an end takes no more memory than a line may

(ulimit -v 8000000; timeout 60 "$tritune" chat --chat-template bitnet </dev/zero >"$scratch/out" 2>"$scratch/err")
found=$?
[ $found = 1 ] || fail "chat </dev/zero: expected status 1, found $found"
says 'expected lines below'

# -- turns: one answer a message, and the session is fed with what is new only

talks 0 'Once upon a time\nand then\\\nwhat?\n/stats\n' --chat-template bitnet -n 12
[ "$(wc -l <"$scratch/out")" -ge 2 ] || fail "expected two answers, found $(cat "$scratch/out")"
says ' [1-9][0-9]* of them known already'
cp "$scratch/out" "$scratch/first"

# the same as a single prompt gives: chat feeds what the template writes, and nothing else
talks 0 'Once upon a time\n' --chat-template '{{ messages[0].content }}' -n 12
"$tritune" run -p 'Once upon a time' -n 12 --temp 0 --no-display-prompt >"$scratch/run" 2>/dev/null
cmp -s "$scratch/out" "$scratch/run" || fail "expected $(cat "$scratch/run"), found $(cat "$scratch/out")"

# known tokens change nothing: the last of two turns is that of a conversation loaded whole
talks 0 "Once upon a time\n/save $scratch/talk.json\nand then?\n" --chat-template bitnet -n 12 -sys 'Be kind.'
tail -n 1 "$scratch/out" >"$scratch/second"
talks 0 "/load $scratch/talk.json\nand then?\n" --chat-template bitnet -n 12
tail -n 1 "$scratch/out" | cmp -s - "$scratch/second" || fail "a loaded conversation goes on otherwise"
grep -q '"role": "system"' "$scratch/talk.json" || fail "no message of the system was saved"
talks 0 "Once upon a time\n/reset\n/save $scratch/empty.json\n" --chat-template bitnet -n 4
grep -q content "$scratch/empty.json" && fail "/reset left a message"

# -- contexts that are too small

talks 0 "$(for i in $(seq 8); do printf 'Once upon a time there was a girl who went to the park, %d.\\n' "$i"; done)" \
    --chat-template bitnet -n 8 -c 64
says 'oldest [0-9]* messages are forgotten'
talks 1 "$(printf 'a b %.0s' $(seq 200))\n" --chat-template bitnet -c 32
says 'more than the context of 32'
talks 0 'Once upon a time\n' --chat-template '{{ messages[0].content }}' -c 16
says 'the answer ends here'

# -- what is refused

talks 4 'hello\n'
says 'expected a chat template'
talks 2 'hello\n' --chat-template nonsense
says 'bitnet, llama3, falcon3'
talks 3 'hello\n' --chat-template '{% for'
says ':1:'
printf '{{ raise_exception("no " + messages[0].role) }}' >"$scratch/template"
talks 1 'hello\n' --chat-template-file "$scratch/template"
says 'refuses the conversation: no user'
talks 2 '' --chat-template bitnet --chat-template-file "$scratch/template"
says 'found both'
talks 1 '/nonsense\n' --chat-template bitnet
says 'unknown command /nonsense'
talks 1 '/save\n' --chat-template bitnet
says 'expected FILE'
talks 1 "/save $scratch/no/such/folder\n" --chat-template bitnet
talks 1 "/load $scratch/nothing\n" --chat-template bitnet
says nothing
for json in '[]' '{"messages": 1}' '{"messages": [{"role": "god", "content": ""}]}' '{"messages": [{"role": "user"}]}' '{'; do
    echo "$json" >"$scratch/bad.json"
    talks 1 "/load $scratch/bad.json\nOnce\n" --chat-template bitnet -n 2
    says 'expected'
done
talks 0 'broken \377 and \360\237\230\n' --chat-template bitnet -n 2
talks 0 '/help\n' --chat-template bitnet
says '/reset'

# -- a terminal: Ctrl-C stops an answer, and the conversation goes on; Ctrl-D leaves

if script -qec true /dev/null >"$scratch/err" 2>&1; then
    slow="--chat-template bitnet --isa c --draft 0 -t 1 --temp 2 --top-k 0 --top-p 1 --min-p 0 -c 4096 -s 2"
    mkfifo "$scratch/keys"
    timeout 60 script -qec "exec '$tritune' chat $slow" /dev/null <"$scratch/keys" >"$scratch/err" 2>&1 &
    pid=$!
    exec 3>"$scratch/keys"
    waits() { # WORD: until the terminal shows it
        for _ in $(seq 300); do grep -q -- "$1" "$scratch/err" && return; sleep 0.1; done
        fail "the terminal never showed: $1"
    }
    waits '/help tells'
    printf 'Once upon a time\n' >&3
    sleep 1
    printf '\003' >&3
    waits 'stopped; the conversation goes on'
    printf '/stats\n' >&3
    waits 'known already'
    printf '\004' >&3
    wait $pid || fail "Ctrl-D: status $?"
    exec 3>&-
else
    echo "no terminal to test at: $(tail -n 1 "$scratch/err")"
fi
exit $failed
