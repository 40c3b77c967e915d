#!/bin/bash
# The embedded model against its reference: ids, logits, greedy text, held-out loss.
exec luajit "$2/tests/cli/parity.lua" "$1" "$2"
