#!/bin/sh
# members.sh -- servers join, leave, are wiped and come back under writes; see members.py.
exec python3 -B "$(dirname "$0")/members.py"
