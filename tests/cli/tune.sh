#!/usr/bin/env bash
# The tuner for real, briefly: a run, a resumed run, an interrupted one, bad candidates, bad surroundings.
tritune=$1 root=$2
build=$(dirname "$tritune")
. "$root/tests/lua_program.sh"
needs_library "$build"

tune() { # OPTION...: its status; what it says in $tmp/out and $tmp/err
    luajit "$root/tune/tune.lua" --build "$build" --results "$tmp/results" "$@" >"$tmp/out" 2>"$tmp/err"
}

one_line() { [ "$(wc -l <"$tmp/err")" = 1 ] || fail "tune $1: expected one line"; }

small="--budget 4 --shapes tiny --family mad"
isa=$(luajit -e "package.path = '$root/tune/?.lua;' .. package.path
    local tri = require('native').runtime('$root/', '$build/libtri_tune.so')
    local isa = tri.tri_isa_find('avx2')
    print(isa ~= nil and isa.present() and '--isa avx2' or '')")

# -- bad candidates --------------------------------------------------------------------------------------

luajit "$root/tests/cli/candidates.lua" "$root" "$build" "$tmp/cache" >"$tmp/out" 2>"$tmp/err" ||
    { fail "bad candidates"; cat "$tmp/out"; }

# -- bad surroundings ------------------------------------------------------------------------------------

refuses tune 1 'results cannot be written: /proc/none' $small --results /proc/none
one_line "with an unwritable folder"
CC=/none/cc refuses tune 1 "no C compiler: '/none/cc'" $small
one_line "without a compiler"
mkdir "$tmp/bin"
ln -s "$(command -v luajit)" "$tmp/bin/luajit"
PATH=$tmp/bin tune $small
status=$?
[ $status = 1 ] && grep -q "no C compiler: 'cc'" "$tmp/err" || fail "no compiler in PATH: exit $status"
refuses tune 1 'cmake --build' $small --build "$tmp/none"
one_line "without its library"
refuses tune 2 'whole number' --budget 0
refuses tune 2 'whole number' --threads x
refuses tune 2 "no shapes 'nonesuch'" --shapes nonesuch
refuses tune 2 "no family 'nonesuch'" --family nonesuch
refuses tune 2 "no instruction set 'nonesuch'" --isa nonesuch
refuses tune 2 'expected 32, 64, 128 or 256' --group 48
refuses tune 2 'objective' --objective fun
refuses tune 2 'nonesuch' --nonesuch
refuses tune 3 'GGUF' --model "$root/LICENSE"
refuses tune 3 'No such file' --model "$tmp/none.gguf"
refuses tune 3 'no such file' --hints "$tmp/none.lua"
printf 'os.exit(7)\n' >"$tmp/hints.lua"
refuses tune 3 'hints.lua: line 1' --hints "$tmp/hints.lua"

# -- a run, and another ------------------------------------------------------------------------------------

table() { luajit "$root/tune/host.lua" --dispatch "$tmp/results"; }

jobs() { # of the table that the generator would link
    local said
    mkdir -p "$tmp/gen"
    said=$(luajit "$root/gen/gen.lua" --build "$tmp/gen" --arch "$(uname -m)" --dispatch "$(table)" 2>&1) || echo "$said"
    [ -z "$said" ] || echo "$said"
    grep -c -E '^ *\{"(qkv|o|gate_up|down)", [0-9]+, [0-9]+, [0-9]+, \{"' "$tmp/gen/dispatch_table.c"
}

tune --list $isa || fail "--list"
[ "$(wc -l <"$tmp/out")" -gt 20 ] || fail "--list lists too few"
[ -z "$(grep -v -E '^[a-z]+_[a-z0-9]+_[a-z0-9]+__[a-z0-9]+$' "$tmp/out")" ] || fail "--list prints what is no name"

tune $small $isa || fail "a first run"
[ "$(grep -c GB/s "$tmp/out")" = 1 ] && [ "$(wc -l <"$tmp/out")" = 5 ] || fail "expected a table of four jobs"
[ -n "$(table)" ] || fail "no table was written"
[ "$(jobs)" = 4 ] || fail "the generator takes: $(jobs)"
grep -q 'end to end, 6 of 6 layers of tiny' "$tmp/err" || fail "nothing was confirmed end to end"
grep -q -E '^  confirmed = \{ shape = "tiny", .* decode = [1-9].* prompt = [1-9]' "$(table)" || fail "no confirmed figures"
grep -q -E '^it runs best decoding with [1-9]|pages stay simple' "$tmp/err" || fail "no word of threads, pinning and pages"
samples=$(dirname "$(table)")/measurements.jsonl
cp "$samples" "$tmp/before"

# -- what was recorded, decided again and explained -------------------------------------------------------------

[ -s "$(dirname "$samples")/machine.txt" ] || fail "no machine.txt was written"
tune --replay "$samples" && cp "$tmp/out" "$tmp/replayed" && tune --replay "$samples" || fail "--replay"
cmp -s "$tmp/out" "$tmp/replayed" || fail "--replay is not the same twice"
cmp -s "$tmp/replayed" "$(table)" || fail "--replay leads to another table: $(diff "$tmp/replayed" "$(table)")"
tune explain down 256x1024 || fail "explain"
grep -q '^down 256x1024$' "$tmp/out" && grep -q 'limited by' "$tmp/out" || fail "explain says too little"
refuses tune 3 "no job 'sideways'" explain sideways
cmp -s "$samples" "$tmp/before" || fail "looking at measurements changed them"

# -- two tuners at once -------------------------------------------------------------------------------------------

luajit "$root/tune/tune.lua" --build "$build" --results "$tmp/two" --quiet $small $isa >/dev/null 2>"$tmp/err" &
first=$!
luajit "$root/tune/tune.lua" --build "$build" --results "$tmp/two" --quiet $small $isa >/dev/null 2>"$tmp/err2"
status=$?
wait $first && [ $status = 0 ] || fail "two tuners at once: $(cat "$tmp/err2")"
tune --results "$tmp/two" explain || fail "what two tuners left cannot be explained"
[ "$(grep -c 'limited by' "$tmp/out")" = 4 ] || fail "two tuners at once: expected four jobs"
tune --results "$tmp/two" export -o "$tmp/exported" || fail "export"
tune --results "$tmp/three" import "$tmp/exported" || fail "import"
grep -q ' 0 lines make no sense' "$tmp/out" || fail "two tuners at once tore lines: $(cat "$tmp/out")"

tune $small $isa --unless-tuned || fail "--unless-tuned"
grep -q 'tuned already' "$tmp/err" || fail "--unless-tuned does not see the table"
cmp -s "$samples" "$tmp/before" || fail "--unless-tuned measures"

printf '{"kind":"dec' >>"$samples"
tune $small $isa --quiet || fail "a resumed run"
grep -q '1 lines make no sense' "$tmp/err" || fail "the torn line goes unnoticed"
[ "$(wc -l <"$tmp/err")" = 1 ] || fail "--quiet is not"
head -c "$(stat -c %s "$tmp/before")" "$samples" | cmp -s - "$tmp/before" || fail "earlier samples were rewritten"
[ "$(jobs)" = 4 ] || fail "after resuming, the generator takes: $(jobs)"

# -- tables that are not this machine's ----------------------------------------------------------------------

ours=$(table)
sed 's/^  cpu = .*/  cpu = "another",/' "$ours" >"$tmp/foreign.lua"
cp "$tmp/foreign.lua" "$ours"
tune $small $isa --hints "$tmp/foreign.lua" || fail "a foreign table as hints"
grep -q 'made for another, but this is' "$tmp/err" || fail "a foreign table goes unnoticed"
cmp -s "$ours.old" "$tmp/foreign.lua" || fail "the foreign table is lost"
[ -n "$(table)" ] || fail "the foreign table stays"
printf 'return { cpu = "x", jobs = { os.execute() } }' >"$ours"
tune $small $isa || fail "over a table of nonsense"
grep -q "expected a value, found 'os.execute'" "$tmp/err" || fail "a table of nonsense goes unnoticed"

if [ -f "$build/libtri_bench.so" ]; then
    tune $small $isa --confirm || fail "--confirm"
    [ "$(grep -c 'tokens = 1, .*bench_ns = [1-9]' "$ours")" = 4 ] || fail "--confirm did not confirm"
fi

# -- Ctrl-C ------------------------------------------------------------------------------------------------------

rm -rf "$tmp/results"
luajit "$root/tune/tune.lua" --build "$build" --results "$tmp/results" --budget 600 >"$tmp/out" 2>"$tmp/err" &
pid=$!
for _ in $(seq 600); do
    [ "$(grep -c '"decode"' "$samples" 2>/dev/null || true)" -gt 5 ] 2>/dev/null && break
    sleep 0.1
done
kill -INT $pid
wait $pid
status=$?
[ $status = 130 ] || fail "Ctrl-C: expected exit 130, found $status"
[ "$(grep -c '"decode"' "$samples")" -gt 5 ] || fail "Ctrl-C: samples are lost"
SAMPLES=$samples luajit -e 'for line in io.lines(os.getenv("SAMPLES")) do require("cjson").decode(line) end' ||
    fail "Ctrl-C: a torn line"

exit $failed
