#!/usr/bin/env bash
# Kernels for matrix engines hold the instructions they are for, from every compiler here, and so do the loops that
# measure what those engines reach. This needs no CPU that has one.
root=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$root" || exit 1
failed=0 compiled=0
generator=$(command -v luajit lua5.4 lua5.1 lua | head -n 1)

emit() { # LUA: the C text and the flags of a kernel that it makes
    "$generator" - "$1" "$tmp/kernel" <<'LUA' || exit 1
package.path = "gen/?.lua;" .. package.path
local k = assert((loadstring or load)("return " .. arg[1]))()
local f = assert(io.open(arg[2] .. ".c", "w"))
f:write(k.code)
f:close()
f = assert(io.open(arg[2] .. ".flags", "w"))
f:write(k.cflags)
f:close()
LUA
}

holds() { # LUA COMPILER OBJDUMP INSTRUCTION...
    local what=$1 compiler=$2 objdump=$3 word
    shift 3
    emit "$what"
    $compiler -std=gnu11 -O3 -Wall -Wextra -Werror $(cat "$tmp/kernel.flags") -c "$tmp/kernel.c" -o "$tmp/kernel.o" ||
        { echo "FAILED: $compiler does not compile $what" && failed=1 && return; }
    compiled=$((compiled + 1))
    for word; do
        $objdump -d "$tmp/kernel.o" | grep -qw "$word" || { echo "FAILED: $compiler, $what: no $word" && failed=1; }
    done
}

default() { echo "require('emit').kernel(require('space').defaults('tile', '$1')[1])"; }
peak() { echo "require('emit').peak('tile', '$1', 'q2r64')"; }

for compiler in gcc clang; do
    command -v $compiler >/dev/null && [ "$(uname -m)" = x86_64 ] && command -v objdump >/dev/null || continue
    for what in "$(default amx)" "$(peak amx)"; do
        holds "$what" $compiler objdump ldtilecfg tileloadd tdpbsud tilestored tilerelease
    done
done
if command -v aarch64-linux-gnu-gcc >/dev/null; then
    for what in "$(default i8mm)" "$(peak i8mm)"; do
        holds "$what" aarch64-linux-gnu-gcc aarch64-linux-gnu-objdump smmla
    done
fi
[ $compiled -gt 0 ] || { echo "skipped: no compiler for a CPU with a matrix engine" && exit 77; }
exit $failed
