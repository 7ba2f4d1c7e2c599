#!/bin/sh
# Runs one test file for prove: a shell script by sh, a program as it is.
case "$1" in
*.sh) exec sh "$1" ;;
*) exec "$1" ;;
esac
