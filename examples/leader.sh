#!/bin/sh
# leader.sh -- one of several candidates: whoever leads beats a pulse, COUNT times, and then
# steps down.
#
#     TIDELOCK_SERVERS=host:port,... sh leader.sh NAME COUNT
#
# `tidelock` is found in PATH. To see who leads meanwhile:
#     tidelock elect --observe /examples/leaders
set -eu
[ $# -eq 2 ] || { echo "usage: $0 NAME COUNT" >&2; exit 2; }
name=$1 count=$2
export name count

# What the leader does. It is stopped before it could lead no more; the guard makes the
# service refuse what comes too late all the same.
# shellcheck disable=SC2016  # the inner shell expands it
term='
set -eu
i=0
while [ "$i" -lt "$count" ]; do
    i=$((i + 1))
    tidelock set --timeout 30000 \
        --guard "$TIDELOCK_ELECTION_PATH:$TIDELOCK_ELECTION_TOKEN" \
        /examples/pulse "$name $i" >/dev/null
    echo "$name beats $i by token $TIDELOCK_ELECTION_TOKEN"
done'

# Two candidates may both try to make the node: one of them finds that it is there.
tidelock stat /examples/pulse >/dev/null 2>&1 ||
    tidelock create --parents /examples/pulse >/dev/null 2>&1 ||
    tidelock stat /examples/pulse >/dev/null

# It waits for as long as somebody else leads, and resigns when the term has ended.
exec tidelock elect --value "$name" /examples/leaders -- sh -c "$term"
