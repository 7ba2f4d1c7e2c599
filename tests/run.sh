#!/bin/sh
# Installs what is missing, builds, and runs every test through prove.
#   sh tests/run.sh              everything
#   sh tests/run.sh unit         only unit tests (also: sim, cluster; several may be named)
# The build goes to ./build (TIDELOCK_BUILD names another). SIM_SEEDS: how many seeds.
set -eu
cd "$(dirname "$0")/.."

[ -n "${TIDELOCK_SKIP_PACKAGES:-}" ] || sh .ci/packages build test
TIDELOCK_BUILD=${TIDELOCK_BUILD:-$PWD/build}
export TIDELOCK_BUILD
# shellcheck disable=SC2086  # options are words
cmake -S . -B "$TIDELOCK_BUILD" ${TIDELOCK_CMAKE:-} >/dev/null
cmake --build "$TIDELOCK_BUILD" -j "$(nproc)" >"$TIDELOCK_BUILD/build.log" 2>&1 || {
    cat "$TIDELOCK_BUILD/build.log"
    exit 1
}

files=""
for kind in ${*:-unit sim cluster}; do
    case "$kind" in
    unit) files="$files $(find "$TIDELOCK_BUILD/tests" -maxdepth 1 -name 't_*' -type f | sort)" ;;
    sim | cluster) ;;
    *) echo "run.sh: unknown kind of test '$kind': use unit, sim or cluster" >&2; exit 2 ;;
    esac
    files="$files $(find "tests/$kind" -maxdepth 1 -name '*.sh' | sort)"
done
# shellcheck disable=SC2086  # a list of files
exec prove --jobs 2 --timer --exec tests/lib/exec.sh $files
