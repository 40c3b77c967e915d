#!/usr/bin/env bash
# Operations counted and cycles predicted for CPUs that are not here: a table, JSON with a row for every ISA that has a
# compiler, and one line where a tool is missing. What the models of cores say is not judged.
root=$2
cd "$root" || exit 1
command -v llvm-mca-19 >/dev/null || command -v llvm-mca >/dev/null || { echo "skipped: llvm-mca is missing" && exit 77; }
lua=$(command -v luajit lua5.4 lua5.1 lua | head -n 1)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

fail() {
    echo "FAILED: $1"
    sed 's/^/  | /' "$tmp/out" "$tmp/err" | head -n 20
    failed=1
}

predict() { "$lua" bench/predict.lua "$@" >"$tmp/out" 2>"$tmp/err"; }

own=$("$lua" - "$(uname -m)" <<'LUA'
package.path = "gen/?.lua;" .. package.path
local space = require "space"
for _, isa in ipairs(space.isas(arg[1])) do if space.isa(isa).arch == arg[1] then print(isa) end end
LUA
)
[ -n "$own" ] || fail "no ISA of this machine"

predict || fail "a run"
grep -q 'predicted, not measured' "$tmp/out" || fail "the table does not say what it is"
predict --json || fail "a run for programs"
for isa in $own; do
    grep -q "{\"isa\":\"$isa\",\"kernel\":\"mad_[a-z0-9_]*\",.*\"predicted\":{" "$tmp/out" || fail "no row of $isa"
done
grep -q '"predicted":{"[a-z0-9-]*":[1-9]' "$tmp/out" || fail "no core has a figure"
grep -q '"alu":0.00' "$tmp/out" && fail "a loop that computes nothing"

predict --nonsense
[ $? = 2 ] && grep -q usage "$tmp/err" || fail "an option that is none"

# without the tools: a line each, and no figure
mkdir "$tmp/bin"
for tool in "$lua" sh ls uname; do ln -s "$(command -v "$tool")" "$tmp/bin/"; done
PATH=$tmp/bin "$tmp/bin/$(basename "$lua")" bench/predict.lua >"$tmp/out" 2>"$tmp/err"
[ $? = 4 ] && [ ! -s "$tmp/out" ] && grep -q 'llvm-mca-19 is missing' "$tmp/err" && grep -q 'no compiler for' "$tmp/err" ||
    fail "without compilers and llvm-mca"
exit $failed
