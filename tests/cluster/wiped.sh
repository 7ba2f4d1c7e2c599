#!/bin/sh
# wiped.sh -- a member whose data directory was replaced never votes; see wiped.py.
exec python3 -B "$(dirname "$0")/wiped.py"
