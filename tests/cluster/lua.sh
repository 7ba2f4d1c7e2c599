#!/bin/sh
# lua.sh -- the Lua module on real servers, killed ones too; see lua.py.
exec python3 -B "$(dirname "$0")/lua.py"
