#!/bin/sh
# readme.sh -- what README.md shows is true; see readme.py.
exec python3 -B "$(dirname "$0")/readme.py"
