#!/bin/sh
# watch_tree.sh -- watches of trees, snapshots, and very many watches; see watch_tree.py.
exec python3 -B "$(dirname "$0")/watch_tree.py"
