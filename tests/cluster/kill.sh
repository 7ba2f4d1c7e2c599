#!/bin/sh
# kill.sh -- servers are killed and paused in the middle of writes; see kill.py.
exec python3 -B "$(dirname "$0")/kill.py"
