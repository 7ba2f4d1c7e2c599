#!/bin/sh
# recover.sh -- servers that lost their memory, and clusters that lost their majority, come
# back; see recover.py.
exec python3 -B "$(dirname "$0")/recover.py"
