#!/bin/sh
# handover.sh -- servers that are told to stop hand their leadership over; see handover.py.
exec python3 -B "$(dirname "$0")/handover.py"
