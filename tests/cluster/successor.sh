#!/bin/sh
# successor.sh -- clients that know one server only, and programs that are started again; see successor.py.
exec python3 -B "$(dirname "$0")/successor.py"
