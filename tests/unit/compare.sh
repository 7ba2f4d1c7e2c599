#!/bin/sh
# compare.sh -- the arithmetic, tables and chart of tests/bench/compare.sh; see compare.py.
exec python3 -B "$(dirname "$0")/compare.py"
