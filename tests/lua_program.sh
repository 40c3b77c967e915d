# What tests of programs in Lua share, which source it with $root set: a folder $tmp of their own, and $failed. They skip
# where a module is missing.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

if ! command -v luajit >/dev/null || ! luajit -e 'require "ffi" require "cjson" require "argparse"' 2>/dev/null; then
    echo "skipped: luajit, lua-cjson or lua-argparse is missing" && exit 77
fi

needs_library() { # BUILD: skips where kernels cannot be driven from there
    luajit -e "require('ffi').load('$1/libtri_tune.so')" 2>/dev/null && return
    echo "skipped: libtri_tune.so cannot be loaded into luajit (built with sanitizers, or not at all)" && exit 77
}

fail() {
    echo "FAILED: $1"
    sed 's/^/  | /' "$tmp/err" | head -n 20
    failed=1
}

# PROGRAM is a function of the test: runs it with options, what it says in $tmp/out and $tmp/err.
refuses() { # PROGRAM STATUS PATTERN OPTION...: ends so, says this, and prints nothing else
    local program=$1 status=$2 pattern=$3 found=0
    shift 3
    $program "$@" || found=$?
    [ $found = "$status" ] || fail "$program $*: expected exit $status, found $found"
    grep -q -- "$pattern" "$tmp/err" || fail "$program $*: no word of '$pattern'"
    grep -q traceback "$tmp/err" && fail "$program $*: a traceback"
    [ ! -s "$tmp/out" ] || fail "$program $*: prints on stdout"
}
