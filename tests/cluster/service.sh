#!/bin/sh
# service.sh -- services in event loops while servers are killed; see service.py.
exec python3 -B "$(dirname "$0")/service.py"
