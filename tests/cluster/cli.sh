#!/bin/sh
# cli.sh -- the command line against a real cluster; see cli.py.
exec python3 -B "$(dirname "$0")/cli.py"
