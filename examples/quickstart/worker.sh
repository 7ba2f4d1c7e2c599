#!/bin/sh
# worker.sh -- the same worker as worker.c, in shell.
#
#     TIDELOCK_SERVERS=host:port,... sh worker.sh lock|election NAME FOLDER
#
# `tidelock` is found in PATH. TERM ends the turn and the worker.
set -u
name=${2:-} folder=${3:-}
case $#$1 in
3lock)
    take="tidelock lock /jobs/lock" grant=LOCK entry=/ledger/entry- entries=1 ;;
3election)
    take="tidelock elect /service" grant=ELECTION entry=/terms/entry- entries=8 ;;
*) echo "usage: $0 lock|election NAME FOLDER" >&2; exit 2 ;;
esac
export name folder grant entry entries

# The turn runs in a shell of its own that is stopped when the turn may be over. The guard
# makes the service refuse what comes too late all the same.
# shellcheck disable=SC2016  # the inner shell expands it
turn='
eval "path=\$TIDELOCK_${grant}_PATH token=\$TIDELOCK_${grant}_TOKEN"
note() { echo "$(date +%s%3N) $1 $name $token" >>"$folder/journal"; }
note enter
for n in $(seq "$entries"); do
    text="$name $token $n"
    created=$(tidelock create --sequential --parents --timeout 30000 \
        --guard "$path:$token" "$entry" "$text")
    case $? in
    0) echo "$created $text" >>"$folder/$name.acknowledged" ;;
    3) note unsure; exit 0 ;; # no server told in time whether it was written
    *) note refused; exit 10 ;;
    esac
done
note leave'

# Two moves in, one out. A refusal is an answer like any other.
turns=0
use_till() {
    turns=$((turns + 1)) amount=2
    [ $((turns % 3)) -ne 0 ] || amount=-3
    tidelock call --timeout 30000 till.move "{\"by\": \"$name\", \"amount\": $amount}" \
        >/dev/null 2>"$folder/$name.why"
    case $? in
    0) outcome='done' ;;
    5) outcome=refused ;;
    *) outcome=unsure ;;
    esac
    echo "$outcome $amount" >>"$folder/$name.moves"
}

# A turn that was stopped in the middle, because its session ended, could not say so.
note_lost() {
    token=$(awk -v name="$name" '$3 == name { what = $2; token = $4 }
        END { if (what == "enter") print token }' "$folder/journal")
    [ -z "$token" ] || echo "$(date +%s%3N) lost $name $token" >>"$folder/journal"
}

child=''
trap 'kill "$child" 2>/dev/null; wait "$child"; exit 143' TERM
until [ -e "$folder/stop" ]; do
    # shellcheck disable=SC2086  # words
    $take -- sh -c "$turn" &
    child=$!
    wait "$child"
    case $? in
    0) use_till ;;
    3 | 7) sleep 0.2 ;; # no server, or no majority of them: there was no turn
    10) exit 1 ;;
    *) note_lost ;;
    esac
done
