#!/usr/bin/env bash
# A screened head draws the same tokens as a full one, however they are drawn. Says why on failure.
tritune=$1
failed=0

same() { # OPTIONS...
    local full screened
    full=$("$tritune" run -p "Once upon a time" -n 60 "$@" --head full 2>/dev/null) || failed=1
    screened=$("$tritune" run -p "Once upon a time" -n 60 "$@" --head screened 2>/dev/null) || failed=1
    [ -n "$full" ] && [ "$full" = "$screened" ] && return
    echo "FAILED: run $*: a screened head tells another story"
    failed=1
}

for threads in 1 3; do
    same -t $threads --temp 0
    same -t $threads -s 3
    same -t $threads -s 3 --draft 0
done
same -s 4 --top-k 200 --top-p 1 --min-p 0 --temp 1.5
same -s 5 --repeat-penalty 1.3 --top-k 20
same -s 5 --repeat-penalty 0.8 --top-k 20
same --temp 0 --repeat-penalty 1.2 --repeat-last-n -1
same -s 6 --top-k 0 --top-p 0.9
same -s 6 --top-k 5000

"$tritune" run -p "Once" -n 1 --head best >/dev/null 2>"${TMPDIR:-/tmp}/head.$$"
[ $? -eq 2 ] && grep -q 'option --head: expected auto, full or screened, found "best"' "${TMPDIR:-/tmp}/head.$$" ||
    { echo "FAILED: --head best is not refused"; failed=1; }
rm -f "${TMPDIR:-/tmp}/head.$$"
exit $failed
