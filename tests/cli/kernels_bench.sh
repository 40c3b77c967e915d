#!/usr/bin/env bash
# Kernels in Google Benchmark, briefly: its options, what it writes, a wrong kernel, one that crashes, Ctrl-C. How fast
# anything is, is not judged.
tritune=$1 root=$(cd "$2" && pwd)
build=$(cd "$(dirname "$tritune")" && pwd)
. "$root/tests/lua_program.sh"
needs_library "$build"

project=$root
kernels() { # OPTION...: its status; what it says in $tmp/out and $tmp/err
    luajit "$project/bench/kernels.lua" --build "$build" "$@" >"$tmp/out" 2>"$tmp/err"
}

valid() { # FILE
    local status=0
    bash "$root/tests/cli/schema.sh" "$root/bench/schema/kernels.json" "$1" >"$tmp/err" 2>&1 || status=$?
    [ $status = 0 ] || [ $status = 77 ] || fail "$1 is not as its schema wants it"
}

rows() { grep -c '"run_type": "iteration"' "$1"; } # FILE

mkdir "$tmp/none"
refuses kernels 1 'apt install libbenchmark-dev' --build "$tmp/none"
if [ ! -f "$build/libtri_bench.so" ]; then
    [ $failed = 0 ] && echo "skipped: Google Benchmark (libbenchmark-dev) is missing" && exit 77
    exit 1
fi
refuses kernels 2 "'--nonesuch'" --nonesuch
refuses kernels 2 'benchmark_nonesuch' --benchmark_nonesuch=1
refuses kernels 2 'benchmark_min_time' --benchmark_min_time=soon
refuses kernels 2 'expected console, json or csv' --benchmark_format=xml
refuses kernels 2 'no row is chosen' --benchmark_filter=nonesuch
refuses kernels 2 'whole numbers' --threads 0
refuses kernels 2 'this machine has' --threads 512
refuses kernels 2 'whole numbers' --batch 1,x
refuses kernels 2 'fraction' --active 2
refuses kernels 2 "no shapes 'nonesuch'" --shapes nonesuch
refuses kernels 2 'say more of the names' --space m
refuses kernels 3 'GGUF' --model "$root/LICENSE"
kernels --help && grep -q -- '--shapes' "$tmp/out" || fail "--help"

# -- names: all kernels linked that this CPU has, and only what the filter leaves ---------------------------------------

kernels --shapes 64x256 --benchmark_list_tests || fail "--benchmark_list_tests"
sed 's|/.*||' "$tmp/out" | sort -u >"$tmp/listed"
"$tritune" kernels --json | luajit -e 'local has, k = {}, require("cjson").decode(io.read("*a"))
    for _, isa in ipairs(k.isas) do has[isa.name] = isa.present end
    for _, k in ipairs(k.kernels) do if has[k.name:match("__(.*)$")] then print(k.name) end end' | sort -u >"$tmp/linked"
cmp -s "$tmp/listed" "$tmp/linked" || fail "not the kernels linked: $(diff "$tmp/linked" "$tmp/listed" | head -n 5)"
[ -s "$tmp/listed" ] || fail "no kernels listed"
kernels --shapes 64x256,96x512 --threads 1 --benchmark_list_tests=true --benchmark_filter='__c/96x512/threads:1/cold' ||
    fail "a filter"
[ -s "$tmp/out" ] && [ -z "$(grep -v '__c/96x512/threads:1/cold/manual_time$' "$tmp/out")" ] || fail "the filter leaves more"
kernels --model "$root/tests/model/tiny-tales-i2_s.gguf" --benchmark_list_tests --benchmark_filter='__c/' || fail "--model"
grep -q '/256x1024/' "$tmp/out" || fail "--model: not its shapes"

# -- a run: one token, batches, listed rows and columns, shared scales; JSON and CSV ---------------------------------------

kernels --shapes 256x256 --batch 16 --benchmark_filter='(_m[0-9]*(n1|a).*__c|_m[0-9]*n4a1u1p64h2__.*)/.*:1/' --benchmark_min_time=0.001 \
    --benchmark_repetitions=2 --benchmark_enable_random_interleaving=true --benchmark_format=csv \
    --benchmark_out="$tmp/rows.json" || fail "a run"
valid "$tmp/rows.json"
[ "$(rows "$tmp/rows.json")" -gt 10 ] || fail "too few rows"
[ "$(grep -c '^"[a-z]*_.*manual_time",' "$tmp/out")" = "$(rows "$tmp/rows.json")" ] || fail "CSV and JSON differ in rows"
ROWS=$tmp/rows.json luajit -e '
    local seen, all = {}, require("cjson").decode(io.open(os.getenv("ROWS")):read("*a"))
    for _, r in ipairs(all.benchmarks) do
        if r.aggregate_name ~= "cv" and r.aggregate_name ~= "stddev" then -- of one thread
            assert(r.cpu_time < 2 * r.real_time, r.name .. ": cpu_time")
        end
        if r.run_type == "iteration" then
            local m, k = r.name:match("/(%d+)x(%d+)/")
            local tokens, active = r.name:match("/tokens:(%d+)/") or 1, r.name:match("/active:([%d.]+)/") or 1
            local function close(a, b, what) assert(math.abs(a / b - 1) < 1e-6, r.name .. ": " .. what) end
            close(r.weights, m * k * active / r.real_time * 1e9, "weights")
            close(r.operations, 2 * r.weights * tokens, "operations")
            close(r.percent, 100 * (r.label == "peak" and r.operations or r.bytes) / r.ceiling, "percent")
            assert(r.bytes > r.weights / 8 and r.bytes < r.weights, r.name .. ": bytes")
            seen[r.name:match("(%a+)/manual_time")], seen[r.label] = true, true
        end
    end
    assert(seen.warm and seen.cold, "a regime is missing")
    assert(seen.read and (seen.peak or all.context.isas == "c"), "a ceiling is missing")' 2>"$tmp/err" || fail "figures that do not fit"
sed 's/"label": "[a-z]*"/"label": "guess"/' "$tmp/rows.json" >"$tmp/forged.json"
status=0
bash "$root/tests/cli/schema.sh" "$root/bench/schema/kernels.json" "$tmp/forged.json" >"$tmp/err" 2>&1 || status=$?
[ $status = 1 ] || [ $status = 77 ] || fail "the schema takes what it should not"

# -- kernels that are wrong ------------------------------------------------------------------------------------------------

project=$tmp/wrong
mkdir "$project" "$tmp/build"
cp -r "$root"/{bench,gen,tune,templates} "$project"
ln -s "$root/runtime" "$project/runtime"
ln -s "$build"/libtri_*.so "$tmp/build"
sed -i '/^    for (int row = m0; row < m1; row += /i\
|   if p == 0 then\
    m1--;\
|   elseif p == 16 then\
    __builtin_trap();\
|   elseif p == 32 then\
    if (k == 256)\
        __builtin_trap();\
|   end' "$project/templates/mad.c.lt"
found=0
kernels --build "$tmp/build" --space mad_q2r16_m16n1a2u1p --shapes 64x256 --benchmark_min_time=0.001 \
    --benchmark_filter='p(0h1|16h1|32h1|64h2)__c/.*threads:1/cold' --benchmark_out="$tmp/right.json" || found=$?
[ $found = 6 ] || fail "wrong kernels: expected exit 6, found $found"
grep -q '^mad_.*p64h2__c/64x256.*bytes=.*percent=' "$tmp/out" || fail "no row for people"
grep -q 'p0h1__c is refused: .*y\[' "$tmp/err" || fail "the wrong kernel is not refused with its reason"
grep -q 'p16h1__c is refused: crash: signal' "$tmp/err" || fail "the kernel that crashes is not refused"
grep -q 'p32h1__c/64x256.* is not reported: crash: signal' "$tmp/err" || fail "the kernel that crashes while timed is kept"
[ "$(rows "$tmp/right.json")" = 1 ] && grep -q '"mad_q2r16_m16n1a2u1p64h2__c/' "$tmp/right.json" ||
    fail "the right kernel was not timed, or another was"
valid "$tmp/right.json"
refuses kernels 6 'is refused' --build "$tmp/build" --space mad_q2r16_m16n1a2u1p0 --shapes 64x256 \
    --benchmark_filter='p0h1__c/'
project=$root

# -- Ctrl-C ----------------------------------------------------------------------------------------------------------------

luajit "$root/bench/kernels.lua" --build "$build" --shapes 64x256 --benchmark_filter='mad_.*n1a.*__c/.*threads:1/warm' \
    --benchmark_min_time=0.5 --benchmark_out="$tmp/some.json" >"$tmp/out" 2>"$tmp/err" &
pid=$!
for _ in $(seq 600); do
    grep -q manual_time "$tmp/out" && break
    sleep 0.1
done
kill -INT $pid
wait $pid
status=$?
[ $status = 130 ] || fail "Ctrl-C: expected exit 130, found $status"
valid "$tmp/some.json"
[ "$(rows "$tmp/some.json")" -ge 1 ] || fail "Ctrl-C: what was done is lost"

exit $failed
