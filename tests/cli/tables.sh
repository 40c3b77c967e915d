#!/usr/bin/env bash
# Tables of this machine for real, of a small model: a run, another that measures nothing, an interrupted one, bad
# options. What they say of this machine is not judged.
tritune=$1 root=$2
build=$(dirname "$tritune")
. "$root/tests/lua_program.sh"
needs_library "$build"

tables() { # OPTION...: its status; what it says in $tmp/err
    luajit "$root/bench/tables.lua" --build "$build" --results "$tmp/results" --synth 125m --dense 125m --memory 1G "$@" \
        >"$tmp/out" 2>"$tmp/err"
}

refuses tables 2 'expected seconds' --budget x
refuses tables 2 "no table 'nonesuch'" --only nonesuch
refuses tables 2 nonesuch --nonesuch
refuses tables 1 'no such folder' --build "$tmp/none"
refuses tables 1 'cmake --build' --build "$tmp"
refuses tables 1 'results cannot be written' --results /proc/none

# -- a run, and what it leaves ---------------------------------------------------------------------------------

here=$tmp/results/$(luajit "$root/tune/host.lua" --slug)
tables --budget 60 --quick --only threads,load || fail "a short run"
for id in threads load; do
    [ -s "$here/bench/$id.json" ] || fail "nothing is kept of $id"
    bash "$root/tests/cli/schema.sh" "$root/bench/schema/tables.json" "$here/bench/$id.json" 2>>"$tmp/err"
    [[ $? == @(0|77) ]] || fail "$id.json is not as its schema says"
done
grep -q '^| 1 | [0-9.]* (' "$here/tables.md" || fail "no row of one thread"
grep -q '^| packed, cold | [0-9.]* (' "$here/tables.md" || fail "no row of a packed file"
grep -q '^Not measured (not asked for: --only): sizes-125m,' "$here/tables.md" || fail "what was not measured is not said"
if command -v gnuplot >/dev/null; then
    [ -s "$here/threads.svg" ] && [ -s "$here/load.svg" ] || fail "charts are missing"
else
    grep -q 'apt install gnuplot-nox' "$tmp/err" || fail "no word of gnuplot"
fi
[ -e "$build/tables" ] && fail "files of the run are left behind"

# -- again: nothing is measured, and nothing changes --------------------------------------------------------------

cp -r "$here" "$tmp/before"
tables --budget 60 --quick --only threads,load || fail "a second run"
grep -q '^2 runs were measured before; 0 to do' "$tmp/err" || fail "a second run does not see the first"
diff -r "$tmp/before" "$here" >>"$tmp/err" || fail "a second run changes what was there"
printf '{"id":"threads"' >"$here/bench/threads.json"
tables --budget 0 --quick --only threads,load || fail "a run over a torn file"
grep -q 'threads.json .*measured anew' "$tmp/err" || fail "a torn file goes unnoticed"

# -- Ctrl-C -----------------------------------------------------------------------------------------------------

cp "$tmp/before/bench/threads.json" "$here/bench/threads.json"
luajit "$root/bench/tables.lua" --build "$build" --results "$tmp/results" --synth 125m --memory 1G --again --quick \
    --only threads,load >"$tmp/out" 2>"$tmp/err" &
run=$!
for _ in $(seq 200); do
    grep -q '^threads ' "$tmp/err" && break
    sleep 0.1
done
kill -INT $run
wait $run
status=$?
[ $status = 130 ] && grep -q 'what was measured is kept' "$tmp/err" || fail "an interrupted run ends with $status"
cmp -s "$tmp/before/bench/threads.json" "$here/bench/threads.json" && fail "what was done before Ctrl-C is not kept"
cmp -s "$tmp/before/bench/load.json" "$here/bench/load.json" || fail "Ctrl-C touched what was kept before"
exit $failed
