#!/bin/sh
# tree.sh -- lives of nodes, whole subtrees, quotas, reads in a multi, levels; see tree.py.
exec python3 -B "$(dirname "$0")/tree.py"
