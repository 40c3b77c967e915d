#!/bin/bash
# Builds the fuzz targets with clang's libFuzzer under sanitizers, in a build of their own, and runs each in turn.
# run.sh PROJECT BUILD; TRI_FUZZ_SECONDS: of each target (default: 300). What was found stays in BUILD/corpus; an input
# that breaks something is kept as BUILD/NAME-crash-... (or -timeout-, -oom-), and repeated by BUILD/tests/NAME FILE.
set -eu
root=$1 build=$2
command -v clang >/dev/null || { echo "fuzz: clang is not there; apt install clang libclang-rt-dev" && exit 1; }
cmake -S "$root" -B "$build" -DCMAKE_C_COMPILER=clang -DTRI_SANITIZE=address,undefined -DTRI_FUZZ=ON \
    -DTRI_DISPATCH=none -DTRI_TESTS=ON
targets=$(cd "$root/tests/fuzz" && ls fuzz_*.c | sed 's/\.c$//')
cmake --build "$build" -j "$(nproc)" --target $targets $(printf '%s_smoke ' $targets)
cd "$root"
for name in $targets; do
    corpus=$build/corpus/$name
    mkdir -p "$corpus"
    "$build/tests/${name}_smoke" --write "$corpus"
    echo "fuzz: $name, ${TRI_FUZZ_SECONDS:-300} s"
    "$build/tests/$name" -max_total_time="${TRI_FUZZ_SECONDS:-300}" -timeout=20 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$build/$name-" "$corpus"
done
