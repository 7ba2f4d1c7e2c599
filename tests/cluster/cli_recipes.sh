#!/bin/sh
# cli_recipes.sh -- the commands that stand on recipes, on a real cluster; see cli_recipes.py.
exec python3 -B "$(dirname "$0")/cli_recipes.py"
