#!/bin/sh
# query.sh -- recipes' functions that only read, on every server; see query.py.
exec python3 -B "$(dirname "$0")/query.py"
