#!/bin/sh
# lock_worker.sh -- the same worker as lock_worker.c, in shell.
#
#     TIDELOCK_SERVERS=host:port,... sh lock_worker.sh NAME JOURNAL ACKNOWLEDGED
#
# `tidelock` is found in PATH. It goes on until TERM, and then finishes its turn; HUP ends
# the turn too.
set -u
[ $# -eq 3 ] || { echo "usage: $0 NAME JOURNAL ACKNOWLEDGED" >&2; exit 2; }
name=$1 journal=$2 acknowledged=$3
export name journal acknowledged

# The turn runs in a shell of its own that `tidelock lock` stops when the lock cannot be
# held any more. The guard makes the service refuse what comes too late all the same.
# shellcheck disable=SC2016  # the inner shell expands it
turn='
note() { echo "$(date +%s%3N) $1 $name $TIDELOCK_LOCK_TOKEN" >>"$journal"; }
note enter
entry="$name $TIDELOCK_LOCK_TOKEN 1"
path=$(tidelock create --sequential --parents --timeout 30000 \
    --guard "$TIDELOCK_LOCK_PATH:$TIDELOCK_LOCK_TOKEN" /ledger/entry- "$entry")
case $? in
0) echo "$path $entry" >>"$acknowledged" && note leave ;;
3) note unsure ;; # no server told in time whether it was written
*) note refused; exit 10 ;;
esac'

# A trap cuts `wait` short, so it is asked again until the child has ended.
wait_for_turn() {
    status=129
    while [ "$status" -gt 128 ] && kill -0 "$child" 2>/dev/null; do
        wait "$child"
        status=$?
    done
}

# A turn that was stopped in the middle, because its session ended, could not say so.
note_lost() {
    token=$(awk -v name="$name" '$3 == name { what = $2; token = $4 }
        END { if (what == "enter") print token }' "$journal")
    [ -z "$token" ] || echo "$(date +%s%3N) lost $name $token" >>"$journal"
}

stopping='' child=''
trap 'stopping=yes' TERM
trap 'stopping=yes; [ -z "$child" ] || kill "$child" 2>/dev/null' HUP
while [ -z "$stopping" ]; do
    tidelock lock /jobs/lock -- sh -c "$turn" &
    child=$!
    wait_for_turn
    case $status in
    0) ;;
    3 | 7) sleep 0.2 ;; # no server, or no majority of them: there was no turn
    10) exit 1 ;;
    *) note_lost ;;
    esac
done
