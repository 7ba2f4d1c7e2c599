#!/bin/sh
# session.sh -- sessions over server deaths: reattach, expiry, exactly once, locks, guards; see session.py.
exec python3 -B "$(dirname "$0")/session.py"
