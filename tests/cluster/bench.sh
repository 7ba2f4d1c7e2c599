#!/bin/sh
# bench.sh -- `tidelock bench` against a real cluster; see bench.py.
exec python3 -B "$(dirname "$0")/bench.py"
