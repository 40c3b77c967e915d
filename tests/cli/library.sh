#!/bin/bash
# The library: the example of its header, linked with either form, tells what `tritune run` tells; the shared one exports
# what the header declares and nothing else.
tritune=$1 root=$2
build=$(dirname "$tritune")
header=$root/runtime/include/tritune.h

fail() {
    echo "library: $*"
    exit 1
}

for kind in static shared; do
    example=$build/tests/example_$kind
    for prompt in "Once upon a time" "The dog and the"; do
        expected=$("$tritune" run -p "$prompt" --temp 0 -c 256 --no-display-prompt 2>/dev/null)
        found=$("$example" "$root/tests/model/tiny-tales-i2_s.gguf" "$prompt") || fail "$kind: exit code $?"
        [ -n "$found" ] && [ "$found" = "$expected" ] || fail "$kind: expected '$expected', found '$found'"
    done
    [ "$("$example")" = "$("$tritune" run -p "Once upon a time" --temp 0 -c 256 --no-display-prompt 2>/dev/null)" ] ||
        fail "$kind: the embedded model tells something else"
    "$example" "$root/README.md" >/dev/null 2>&1
    [ $? = 3 ] || fail "$kind: expected exit code 3 for a file that is no model"
done

declared=$(sed 's|^ \*.*||; s|/\*.*\*/||' "$header" | grep -oE 'tri_[a-z0-9_]+\(' | tr -d '(' | sort -u)
exported=$(nm -D --defined-only "$build/libtritune.so" | awk '{print $3}' | sort -u)
[ "$declared" = "$exported" ] ||
    fail "declared and exported differ: $(diff <(echo "$declared") <(echo "$exported") | grep '^[<>]' | head)"

if command -v c++ >/dev/null; then
    c++ -std=c++17 -Wall -Wextra -Werror -x c++ -fsyntax-only "$header" || fail "the header is no C++"
fi
