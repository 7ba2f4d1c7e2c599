#!/bin/sh
# fifty_kills.sh -- a C and a Lua program outlive fifty leaders; see fifty_kills.py.
exec python3 -B "$(dirname "$0")/fifty_kills.py"
