#!/bin/sh
# watch.sh -- watches on real servers, killed ones too; see watch.py.
exec python3 -B "$(dirname "$0")/watch.py"
