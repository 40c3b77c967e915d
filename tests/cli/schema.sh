#!/usr/bin/env bash
# Holds a JSON file against a JSON schema: schema.sh SCHEMA FILE. Exit 0 if it fits, 1 if not (each place and why, on
# stderr), 2 if the schema is none, 77 without Debian's python3-jsonschema. No test itself: tests call it.
[ $# = 2 ] || { echo "usage: schema.sh SCHEMA FILE" >&2 && exit 2; }

for python in python3 /usr/bin/python3; do # another Python may stand before Debian's
    "$python" -c 'import jsonschema' 2>/dev/null && break
done || { echo "skipped: python3-jsonschema is missing" && exit 77; }

exec "$python" - "$1" "$2" <<'PYTHON'
import json
import sys
from jsonschema import SchemaError, validators

MOST = 10  # faults shown


def fail(status, *words):
    print("schema.sh:", *words, file=sys.stderr)
    sys.exit(status)


def no_number(text):
    raise ValueError(f"{text} is no number of JSON")


def once(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key stands twice among {', '.join(key for key, _ in pairs)}")
    return found


def read(path, status):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file, parse_constant=no_number, object_pairs_hook=once)
    except (OSError, ValueError, RecursionError) as why:
        fail(status, f"{path}: {why}")


schema_path, path = sys.argv[1:]
schema = read(schema_path, 2)
kind = validators.validator_for(schema, default=None) if isinstance(schema, dict) else None
if kind is None:
    fail(2, f"{schema_path}: expected \"$schema\" to name a draft that is known")
try:
    kind.check_schema(schema)
except SchemaError as why:
    fail(2, f"{schema_path}: at /{'/'.join(map(str, why.path))}: {why.message}")
faults = sorted(kind(schema).iter_errors(read(path, 1)), key=lambda fault: list(map(str, fault.absolute_path)))
for fault in faults[:MOST]:
    print(f"schema.sh: {path}: at /{'/'.join(map(str, fault.absolute_path))}: {fault.message[:300]}", file=sys.stderr)
if faults:
    fail(1, f"{path}: {len(faults)} faults against {schema_path}")
PYTHON
