#!/usr/bin/env bash
# The table of limits for real, as briefly as it goes: a run, an interrupted one, bad options. What it says of this
# machine is not judged.
tritune=$1 root=$2
build=$(dirname "$tritune")
. "$root/tests/lua_program.sh"
needs_library "$build"

limits() { # OPTION...: its status; what it says in $tmp/out and $tmp/err
    luajit "$root/bench/limits.lua" --build "$build" "$@" >"$tmp/out" 2>"$tmp/err"
}

rows() { # how many rows the JSON has, each with sensible fields
    luajit -e 'local rows = require("cjson").decode(io.read("*a"))
        for _, r in ipairs(rows) do
            assert(r.value > 0 and r.value < 10 and r.baseline > 0 and r.threads >= 1, r.row)
            assert(r.shape == "all" or r.shape:match("^%d+x%d+$"), r.row)
            local rival = r.row:match("%-onednn$")
            assert(rival and r.kernel ~= "" or r.kernel:match("^%a+_%w+_%w+__%w+"), r.kernel)
        end
        print(#rows)' <"$tmp/out" 2>>"$tmp/err"
}

refuses limits 2 'expected seconds' --budget 0
refuses limits 2 'expected seconds' --budget x
refuses limits 2 'nonesuch' --nonesuch
refuses limits 1 'cmake --build' --build "$tmp/none"
CC=/none/cc refuses limits 1 "no C compiler: '/none/cc'"

limits --json --budget 3 || fail "a short run"
rows >/dev/null || fail "its JSON is not as expected"
absent=$(grep -c ' is absent: ' "$tmp/err")
named=$(grep -o '"row":"[^"]*"' "$tmp/out" | grep -v -- '-onednn"' | sort -u | wc -l)
[ $((named + absent)) = 9 ] || fail "of nine rows, $named are there and $absent are absent"
grep -q 'the machine: 1 thread read' "$tmp/err" || fail "what the machine reads is not said"

# Ctrl-C: what is done by then, as JSON still, and 130
if [ "$named" -gt 0 ]; then
    luajit "$root/bench/limits.lua" --build "$build" --json >"$tmp/out" 2>"$tmp/err" &
    run=$!
    sleep 3
    kill -INT $run
    wait $run
    status=$?
    [ $status = 130 ] && grep -q interrupted "$tmp/err" || fail "an interrupted run ends with $status"
    rows >/dev/null || fail "an interrupted run: its JSON is not as expected"
fi
exit $failed
