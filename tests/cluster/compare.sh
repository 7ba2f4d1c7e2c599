#!/bin/sh
# compare.sh -- tests/bench/compare.sh runs, on our own servers alone; see compare.py.
exec python3 -B "$(dirname "$0")/compare.py"
