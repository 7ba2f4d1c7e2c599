#!/bin/sh
# overload.sh -- clients that ask for too much, or do not behave, harm only themselves; see
# overload.py.
exec python3 -B "$(dirname "$0")/overload.py"
