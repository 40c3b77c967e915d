#!/usr/bin/env bash
# Every file of results/published fits its schema, and the schema can say no.
root=$2
cd "$root" || exit 1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

fits() { bash tests/cli/schema.sh bench/schema/published.json "$1" 2>"$tmp/err"; }

for file in results/published/*.json; do
    found=0
    fits "$file" || found=$?
    [ $found = 77 ] && exit 77
    [ $found = 0 ] || { echo "FAILED: $file" && cat "$tmp/err" && failed=1; }
done

# A good file with one thing changed: SED-SCRIPT, and what the schema is to say of it.
refused() {
    sed "$1" results/published/t-mac-raspberry-pi-5.json >"$tmp/bad.json"
    fits "$tmp/bad.json" && echo "FAILED: fits after $1" && failed=1
    grep -q -- "$2" "$tmp/err" || { echo "FAILED: $1: no word of $2" && cat "$tmp/err" && failed=1; }
}

refused '/"url"/d' "'url' is a required property"
refused 's/"ts": /"ts": -/' 'ts'
refused 's/"tg128"/"quick"/' 'test'
refused 's/"threads": 1/"threads": "one"/' 'threads'
refused 's/"kind": "[^"]*"/"kind": "rumour"/' 'kind'
refused 's/"program"/"programme"/' 'programme'
exit $failed
