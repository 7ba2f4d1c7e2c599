#!/bin/sh
# bad_input.sh -- whatever is wrong costs one clear line, one call or one connection; see bad_input.py.
exec python3 -B "$(dirname "$0")/bad_input.py"
