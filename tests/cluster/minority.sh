#!/bin/sh
# minority.sh -- one server of three: refuses at once what needs a majority; see minority.py.
exec python3 -B "$(dirname "$0")/minority.py"
