#!/usr/bin/env bash
# schema.sh can fail: on data that does not fit, on what is no JSON, on a schema that is none; and the schemas are some.
root=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

expect() { # STATUS SCHEMA DATA [PATTERN]: ends so, and says this
    local found=0
    printf '%s' "$2" >"$tmp/schema.json"
    printf '%s' "$3" >"$tmp/data.json"
    bash "$root/tests/cli/schema.sh" "$tmp/schema.json" "$tmp/data.json" >"$tmp/said" 2>&1 || found=$?
    [ $found = 77 ] && cat "$tmp/said" && exit 77
    if [ $found != "$1" ] || ! { cat "$tmp/said" && echo; } | grep -q -- "${4-}"; then
        echo "FAILED: $3 against $2: expected status $1 and '${4-}', found $found and:"
        sed 's/^/  | /' "$tmp/said"
        failed=1
    fi
    grep -q Traceback "$tmp/said" && echo "FAILED: a traceback for $3" && failed=1
}

draft='"$schema": "https://json-schema.org/draft/2020-12/schema"'
schema="{$draft, \"type\": \"object\", \"required\": [\"ns\"], \"additionalProperties\": false,
         \"properties\": {\"ns\": {\"type\": \"number\", \"minimum\": 0}}}"
expect 0 "$schema" '{"ns": 1.5}'
expect 1 "$schema" '{"ns": -1}' 'at /ns: -1 is less'
expect 1 "$schema" '{"ns": "1"}' 'at /ns:.*number'
expect 1 "$schema" '{}' "'ns' is a required"
expect 1 "$schema" '{"ns": 1, "more": 2}' "'more' was unexpected"
expect 1 "$schema" '{"ns": NaN}' 'NaN is no number'
expect 1 "$schema" '{"ns": 1, "ns": 2}' 'stands twice'
expect 1 "$schema" '{"ns": 1' 'data.json: '
expect 1 "$schema" ''
expect 2 "{$draft, \"type\": \"objekt\"}" '{}' 'schema.json: at /type'
expect 2 '{"type": "object"}' '{}' 'draft'
expect 2 '[]' '{}' 'draft'
expect 2 '{' '{}' 'schema.json: '

for schema in "$root"/bench/schema/*.json; do # a null is valid against none, and all are schemas
    [ -e "$schema" ] && expect 1 "$(cat "$schema")" null
done

exit $failed
