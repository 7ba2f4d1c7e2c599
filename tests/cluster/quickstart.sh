#!/bin/sh
# quickstart.sh -- the example that people run first: it succeeds and leaves nothing behind.
#
# Method: it is run with the programs that were built, from a path with a space and with a
# temporary folder of its own, in which every server's data, and so its command line, lies.
set -u
cd "$(dirname "$0")/../.." || exit 1
TIDELOCK_BUILD=${TIDELOCK_BUILD:?set it to the build directory}
export TIDELOCK_BUILD TIDELOCK_PREBUILT=1
room=$(mktemp -d "${TMPDIR:-/tmp}/tidelock quickstart.XXXXXX") || exit 1
trap 'rm -rf "$room"' EXIT
trap 'exit 1' INT TERM HUP
script=$PWD/examples/quickstart.sh
count=0 failures=0

# rule NAME STATUS: what the command before it came to
rule() {
    count=$((count + 1))
    if [ "$2" -eq 0 ]; then
        echo "ok $count - $1"
    else
        echo "not ok $count - $1"
        sed 's/^/# /' "$room/output"
        failures=$((failures + 1))
    fi
}

# Servers and workers name a file of the temporary folder among their arguments.
processes() {
    cat /proc/[0-9]*/cmdline 2>/dev/null >"$room/cmdlines"
    tr '\0' '\n' <"$room/cmdlines" | grep -cF "$room/tmp/tidelock-"
}

# run [FLAG]: with a limit, far above what it takes
run() {
    mkdir -p "$room/tmp"
    (cd "$room" && TMPDIR=$room/tmp timeout 200 sh "$script" "$@") >"$room/output" 2>&1
}

run
rule it_succeeds $?
grep -q "all of it held" "$room/output"
rule it_says_so $?
[ -z "$(ls -A "$room/tmp")" ]
rule it_leaves_no_file $?
[ "$(processes)" -eq 0 ]
rule it_leaves_no_process $?

run --frobnicate
[ $? -eq 2 ]
rule an_unknown_flag_is_a_mistake $?

# TERM in the middle of the work, when servers and workers run.
(cd "$room" && TMPDIR=$room/tmp exec timeout 100 sh "$script") >"$room/output" 2>&1 &
pid=$!
for _ in $(seq 300); do
    grep -q "are published" "$room/output" && break
    sleep 0.1
done
kill -s TERM "$pid"
wait "$pid"
[ $? -eq 143 ] || [ $? -eq 124 ]
rule it_ends_when_it_is_told_to $?
[ -z "$(ls -A "$room/tmp")" ] && [ "$(processes)" -eq 0 ]
rule it_leaves_nothing_then_either $?

echo "1..$count"
[ "$failures" -eq 0 ]
