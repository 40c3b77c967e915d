#!/usr/bin/env bash
# The page of claims for real: every claim has its row, what can be counted here was, and the same comes out twice.
tritune=$1 root=$2
. "$root/tests/lua_program.sh"

fail() {
    echo "FAILED: $1"
    head -n 40 "$tmp"/out "$tmp"/err
    failed=1
}

claims() { luajit "$root/bench/claims.lua" --tritune "$tritune" "$@" >"$tmp/out" 2>"$tmp/err"; }

mkdir "$tmp/results"
claims --results "$tmp/results" || fail "a run: exit $?"
[ -s "$tmp/err" ] && fail "expected nothing on stderr"
claims --results "$tmp/results" --out - || fail "to standard output: exit $?"
cmp -s "$tmp/out" "$tmp/results/claims.md" || fail "two runs differ"
[ "$(grep -c '^| [0-9a-zA-Z].* | .* | .* | .* |$' "$tmp/out")" -ge 16 ] || fail "expected a row for every claim"
grep -q 'the model built in: 34\.5 % zeros, 1\.58[0-9]* bits' "$tmp/out" || fail "trits of the model built in"
grep -q '0 instructions of floating point in the hot loops of [1-9]' "$tmp/out" || fail "instructions of hot loops"
grep -q 'not measured yet: `luajit bench/tables.lua --only dense`' "$tmp/out" || fail "what to run where nothing was"

claims --nonsense
[ $? = 2 ] && grep -q Usage "$tmp/err" || fail "an option that is none"
claims --tritune "$tmp/none"
[ $? = 1 ] && grep -q 'is not built yet' "$tmp/err" || fail "no program"
exit $failed
