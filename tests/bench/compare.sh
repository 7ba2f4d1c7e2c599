#!/bin/sh
# Tidelock beside ZooKeeper and etcd on this machine: three servers of each, one system at a
# time, in turns. Prints a table of medians and ratios; --out DIR keeps it with the chart and
# every single figure. tests/bench/README.md says what is measured and how.
#   sh tests/bench/peers.sh           once: fetches the peers (nothing is installed)
#   sh tests/bench/compare.sh                                           all of it, 25 minutes
#   sh tests/bench/compare.sh --rows set,get --rounds 1 --systems tidelock,etcd
# The build is ./build (TIDELOCK_BUILD names another); it is made if it is not there.
set -eu
cd "$(dirname "$0")/../.."

TIDELOCK_BUILD=${TIDELOCK_BUILD:-$PWD/build}
TIDELOCK_PEERS=${TIDELOCK_PEERS:-$TIDELOCK_BUILD/peers}
export TIDELOCK_BUILD TIDELOCK_PEERS
if [ ! -x "$TIDELOCK_BUILD/bin/bench-load" ]; then
    [ -n "${TIDELOCK_SKIP_PACKAGES:-}" ] || sh .ci/packages build
    cmake -S . -B "$TIDELOCK_BUILD" >/dev/null
    cmake --build "$TIDELOCK_BUILD" -j "$(nproc)" \
        --target tidelock tidelockd bench-load bench-limits >/dev/null
fi
exec python3 tests/bench/compare "$@"
