#!/bin/sh
# disk.sh -- full, failing and damaged disks under real servers; see disk.py.
exec python3 -B "$(dirname "$0")/disk.py"
