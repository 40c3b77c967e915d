#!/usr/bin/env bash
# Tables of this machine for real, of a small model: a run, another that measures nothing, an interrupted one, bad
# options. What they say of this machine is not judged.
tritune=$1 root=$2
build=$(dirname "$tritune")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

if ! command -v luajit >/dev/null || ! luajit -e 'require "ffi" require "cjson" require "argparse"' 2>/dev/null; then
    echo "skipped: luajit, lua-cjson or lua-argparse is missing" && exit 77
fi
if ! luajit -e "require('ffi').load('$build/libtri_tune.so')" 2>/dev/null; then
    echo "skipped: libtri_tune.so cannot be loaded into luajit (built with sanitizers, or not at all)" && exit 77
fi

fail() {
    echo "FAILED: $1"
    sed 's/^/  | /' "$tmp/err" | head -n 20
    failed=1
}

tables() { # OPTION...: its status; what it says in $tmp/err
    luajit "$root/bench/tables.lua" --build "$build" --results "$tmp/results" --synth 125m --dense 125m --memory 1G "$@" \
        >"$tmp/out" 2>"$tmp/err"
}

refuses() { # STATUS PATTERN OPTION...
    local status=$1 pattern=$2 found=0
    shift 2
    tables "$@" || found=$?
    [ $found = "$status" ] || fail "tables $*: expected exit $status, found $found"
    grep -q -- "$pattern" "$tmp/err" || fail "tables $*: no word of '$pattern'"
    grep -q traceback "$tmp/err" && fail "tables $*: a traceback"
}

refuses 2 'expected seconds' --budget x
refuses 2 "no table 'nonesuch'" --only nonesuch
refuses 2 nonesuch --nonesuch
refuses 1 'no such folder' --build "$tmp/none"
refuses 1 'cmake --build' --build "$tmp"
refuses 1 'results cannot be written' --results /proc/none

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
