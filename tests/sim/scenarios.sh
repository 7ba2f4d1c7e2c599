#!/bin/sh
# Bugs that others had, acted out (tests/sim/scenarios), each over a few seeds.
seeds=${SCENARIO_SEEDS:-10}
sim=$TIDELOCK_BUILD/bin/tidelock-sim
# A world ends with frames and timers of its own on the way; those are no leaks of the product.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}${ASAN_OPTIONS:+:}detect_leaks=0"
out=${TMPDIR:-/tmp}/scenarios.$$
trap 'rm -f "$out"' EXIT INT TERM
names=$("$sim" --scenario list)
number=0
status=0
# shellcheck disable=SC2086  # a list of words
set -- $names
echo "1..$#"
for name; do
    number=$((number + 1))
    if "$sim" --scenario "$name" --seeds "$seeds" >"$out" 2>&1; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/# /' "$out"
        status=1
    fi
done
exit $status
