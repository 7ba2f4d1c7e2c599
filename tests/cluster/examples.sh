#!/bin/sh
# examples.sh -- the examples that a user would copy, on real servers; see examples.py.
exec python3 -B "$(dirname "$0")/examples.py"
