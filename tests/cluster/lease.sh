#!/bin/sh
# lease.sh -- reads within a lease while leaders are killed, paused and replaced; see lease.py.
exec python3 -B "$(dirname "$0")/lease.py"
