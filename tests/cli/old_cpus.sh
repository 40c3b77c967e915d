#!/bin/bash
# CPUs without the linked ISAs: the engine falls back with one line, gives the same bits and never dies of SIGILL.
set -u
tritune=$1 root=$2
fail() { echo "old_cpus: $*"; exit 1; }

[ "$(uname -m)" = x86_64 ] || { echo "old_cpus: skipped, emulates x86-64 CPUs only on x86-64"; exit 77; }
command -v qemu-x86_64 >/dev/null || { echo "old_cpus: skipped, qemu-user is not installed"; exit 77; }
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT

logits() { "$@" logits -p "Once upon a time" --greedy 2 -t 1 --json; }
logits "$tritune" > "$out/host" 2> "$out/err" || fail "the host itself failed: $(cat "$out/err")"

for cpu in qemu64 core2duo Haswell; do
    logits qemu-x86_64 -cpu $cpu "$tritune" > "$out/$cpu" 2> "$out/$cpu.err" || fail "$cpu failed: $(cat "$out/$cpu.err")"
    cmp -s "$out/host" "$out/$cpu" || fail "$cpu gives other logits than the host"
    qemu-x86_64 -cpu $cpu "$tritune" selftest -q > "$out/test" || fail "selftest on $cpu: $(cat "$out/test")"
done
grep -q "plain C" "$out/qemu64.err" || fail "a CPU with nothing but SSE2: not a word about plain C"
[ "$(wc -l < "$out/qemu64.err")" = 1 ] || fail "expected one line on stderr, found: $(cat "$out/qemu64.err")"
qemu-x86_64 -cpu core2duo "$tritune" kernels --json | grep -q '"isa": "ssse3"' || fail "core2duo does not use ssse3"
qemu-x86_64 -cpu core2duo "$tritune" logits -p x --isa avx2 > /dev/null 2> "$out/err"
[ $? = 4 ] || fail "--isa avx2 on core2duo: expected exit 4"
grep -q "lacks avx2" "$out/err" || fail "--isa avx2 on core2duo: $(cat "$out/err")"
TRI_ISA=nonsense "$tritune" logits -p x > /dev/null 2> "$out/err"
[ $? = 2 ] || fail "TRI_ISA=nonsense: expected exit 2"
echo "old_cpus: qemu64, core2duo and Haswell give the host's bits"
