#!/bin/sh
# The simulator over many seeds: complete replicas under faults, then healed.
seeds=${SIM_SEEDS:-1000}
echo "1..1"
if "$TIDELOCK_BUILD/bin/tidelock-sim" --seeds "$seeds" --jobs 2 >"${TMPDIR:-/tmp}/sim.$$" 2>&1; then
    echo "ok 1 - $seeds seeds break no rule"
    status=0
else
    echo "not ok 1 - $seeds seeds break no rule"
    status=1
fi
sed 's/^/# /' "${TMPDIR:-/tmp}/sim.$$"
rm -f "${TMPDIR:-/tmp}/sim.$$"
exit $status
