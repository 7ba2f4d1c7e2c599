#!/bin/sh
# crowd_kills.sh -- the shipped recipes under a crowd and fifty kills; see crowd_kills.py.
exec python3 -B "$(dirname "$0")/crowd_kills.py"
