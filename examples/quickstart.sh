#!/bin/sh
# quickstart.sh -- installs what is missing, builds, starts three servers on this machine,
# and runs workers that share a lock while servers are killed; then checks every promise.
#
#     sh examples/quickstart.sh           leaves nothing behind but the build
#     sh examples/quickstart.sh --keep    leaves the cluster running
#
# Exit status 0: no two workers held the lock at once, tokens only rose, no acknowledged
# write is missing, and none was done twice. Otherwise the logs are kept, and told where.
# Environment: TIDELOCK_BUILD, the folder to build in (default: build); TIDELOCK_PREBUILT=1,
# take the programs there as they are; TMPDIR, where the servers' data goes for the time.
set -u

root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
build=${TIDELOCK_BUILD:-$root/build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
TIMES=4 # that all servers are killed at once and find a slow disk
keep='' work='' started='' workers='' streams='' failed=''

now_ms() { date +%s%3N; }

say() {
    awk -v ms="$(($(now_ms) - start_ms))" -v text="$1" \
        'BEGIN { printf "%6.1f s  %s\n", ms / 1000, text }'
}

fail() {
    echo "quickstart: $1" >&2
    failed=yes
    exit 1
}

# --- leaving ---

# A process that ended may stay as a zombie. Its other threads may end after the first one,
# and only then its files are closed.
has_ended() {
    state=$(cut -d ' ' -f 3 "/proc/$1/stat" 2>/dev/null)
    [ -n "$state" ] || return 0
    set -- "/proc/$1/task"/*
    [ "$state" = Z ] && [ $# -eq 1 ]
}

# end_within SECONDS PID...: whether they all ended in time
end_within() {
    tries=$(($1 * 20))
    shift
    for pid in "$@"; do
        while ! has_ended "$pid"; do
            [ "$tries" -gt 0 ] || return 1
            tries=$((tries - 1))
            sleep 0.05
        done
    done
}

# The worker's own children end with it at HUP; KILL is for one that hangs.
stop_by_force() {
    # shellcheck disable=SC2086  # a list of numbers
    for signal in TERM HUP KILL; do
        end_within 0 $workers $streams && break
        kill -s "$signal" $workers $streams 2>/dev/null
        end_within 3 $workers $streams
    done
    workers='' streams=''
}

clean_up() {
    trap '' INT TERM HUP
    stop_by_force
    if [ -n "$keep" ] && [ -n "$started" ]; then
        tell_how_to_talk
        return
    fi
    [ -z "$started" ] || tidelock dev stop --dir "$work/cluster" >/dev/null 2>&1
    if [ -n "$failed" ] && [ -n "$work" ]; then
        echo "quickstart: the logs are in $work" >&2
    elif [ -n "$work" ]; then
        rm -rf "$work"
    fi
}

tell_how_to_talk() {
    cat <<END
the cluster is running; to talk to it:
  export PATH="$build/bin:\$PATH" TIDELOCK_SERVERS=$TIDELOCK_SERVERS
  tidelock status
  tidelock ls /ledger
  tidelock lock /jobs/lock -- sh -c 'echo "mine under token \$TIDELOCK_LOCK_TOKEN"'
and to stop it:
  tidelock dev stop --dir "$work/cluster" && rm -r "$work"
END
}

# --- the programs and the servers ---

build_programs() {
    [ -z "${TIDELOCK_PREBUILT:-}" ] || return 0
    sh "$root/.ci/packages" build || fail "the packages could not be installed"
    if ! mkdir -p "$build" || ! [ -w "$build" ]; then
        fail "cannot write to $build; set TIDELOCK_BUILD to a folder of your own"
    fi
    {
        cmake -S "$root" -B "$build" &&
            cmake --build "$build" -j "$(nproc)" --target tidelock tidelockd \
                example-lock_worker example-stream_writer example-read_nodes slow_sync
    } >"$work/build.log" 2>&1 ||
        fail "the build failed: $(grep -m 1 -i error "$work/build.log")"
    say "built in $build"
}

# leader [NOT]: the server that leads, waiting for an election to end
leader() {
    for _ in $(seq 200); do
        id=$(tidelock dev status --dir "$work/cluster" | awk '$2 == "leader" { print $1 }')
        [ -n "$id" ] && [ "$id" != "${1:-}" ] && echo "$id" && return
        sleep 0.05
    done
    return 1
}

# start_servers [slow_sync]: with a disk as slow as many are
start_servers() {
    TIDELOCK_SERVERS=$(LD_LIBRARY_PATH=$build/examples LD_PRELOAD=${1:+lib$1.so} \
        SLOW_SYNC_MS=10 tidelock dev start --nodes 3 --dir "$work/cluster" \
        2>"$work/start.log") ||
        fail "the servers do not start: $(head -n 1 "$work/start.log")"
    export TIDELOCK_SERVERS
    started=yes
}

# --- the workers ---

start_workers() {
    dir=$work/workers
    mkdir "$dir" && : >"$journal"
    for name in c-1 c-2 c-3; do
        "$build/bin/example-lock_worker" $name "$journal" "$dir/$name.acknowledged" \
            2>"$dir/$name.log" &
        workers="$workers $!"
    done
    for name in sh-1 sh-2; do
        sh "$root/examples/lock_worker.sh" $name "$journal" "$dir/$name.acknowledged" \
            2>"$dir/$name.log" &
        workers="$workers $!"
    done
}

# Waits until a turn begins after the time given in ms.
await_turn() {
    for _ in $(seq 300); do
        last=$(awk '$2 == "enter" { t = $1 } END { print t }' "$journal")
        [ "${last:-0}" -le "$1" ] || return 0
        sleep 0.1
    done
    fail "no worker got the lock within 30 s"
}

# Waits until the streams flow again, after the time given in ms.
await_streams() {
    [ -z "$failed" ] || return
    for _ in $(seq 300); do
        last=$(tidelock stat /streams/00 2>/dev/null | awk '$1 == "mtime" { print $2 }')
        [ "${last:-0}" -le "$1" ] || return 0
        has_ended "$streams" && break
        sleep 0.1
    done
    problem "nothing was written to the streams any more"
}

# The longest time without a turn that ended after the time given in ms.
pause_since() {
    awk -v since="$1" '$2 == "enter" {
            if ($1 >= since && last && $1 - last > most) most = $1 - last
            last = $1
        } END { print most + 0 }' "$journal"
}

# finish FOLDER PID...: asks those with logs there to stop, and notes it when one failed
finish() {
    who=$1
    shift
    kill -s TERM "$@" 2>/dev/null
    end_within 40 "$@" || fail "$who did not stop within 40 s"
    for pid in "$@"; do
        wait "$pid" ||
            problem "one of the $who failed: $(cat "$work/$who"/*.log | tail -n 1)"
    done
}

# --- the story ---

kill_the_leader() {
    old=$(leader) || fail "no server leads"
    killed_ms=$(now_ms)
    tidelock dev kill --node "$old" --dir "$work/cluster" || fail "node $old was not killed"
    say "killed node $old, the leader, with -9"
    new=$(leader "$old") || fail "no server leads after node $old was killed"
    await_turn "$(now_ms)"
    sleep 2
    say "node $new leads; the lock did not pass on for $(pause_since "$killed_ms") ms"
    tidelock dev restart --node "$old" --dir "$work/cluster" ||
        fail "node $old does not start"
    say "node $old is back"
    sleep 1.5
}

# A write that was acknowledged too early, while it waited in memory for the sync of those
# before it, is lost when all servers die. So the streams keep the servers busy, syncs are
# made slow, and it is tried some times.
# kill_all_servers [slow_sync]: they find such a disk when they start again
kill_all_servers() {
    [ -z "$failed" ] || return
    await_streams "$(now_ms)"
    sleep 0.5
    pids=$(tidelock dev status --dir "$work/cluster" | awk 'NR > 1 { print $5 }')
    case $pids in *-*) fail "a server ended that nobody killed" ;; esac
    # shellcheck disable=SC2086  # a list of numbers
    if ! kill -s KILL $pids || ! end_within 10 $pids; then
        fail "not all servers are gone after kill -9"
    fi
    killed_ms=$(now_ms)
    start_servers "$@"
    await_turn "$(now_ms)"
    say "killed all with -9${1:+, started on a slow disk}; the lock passed on after $(
        pause_since "$killed_ms") ms"
}

run_story() {
    start_servers
    say "three servers on loopback, node $(leader) leads"
    start_workers
    say "five workers, three in C and two in shell, take one lock in turn"
    sleep 2.5
    kill_the_leader
    mkdir "$work/streams"
    "$build/bin/example-stream_writer" "$work/streams/summary" \
        2>"$work/streams/writer.log" &
    streams=$!
    for _ in $(seq $TIMES); do kill_all_servers slow_sync; done
    kill_all_servers
    await_streams "$(now_ms)"
    # shellcheck disable=SC2086  # a list of numbers
    finish streams $streams
    streams=''
    # shellcheck disable=SC2086  # a list of numbers
    finish workers $workers
    workers=''
    say "the workers have stopped"
}

# --- the checks ---

problem() {
    echo "quickstart: FAILED: $1" >&2
    failed=yes
}

# Each check prints a line of what it found, and then one line per problem.
report() {
    "$@" >"$work/report" || fail "${1} could not read its input"
    echo "checks: $(head -n 1 "$work/report")"
    tail -n +2 "$work/report" | head -n 10 >"$work/problems"
    while read -r line; do problem "$line"; done <"$work/problems"
}

# The order of the journal's lines is that of the turns. A turn whose session ended may be
# followed by another one before it says so: its guard fences it.
check_turns() {
    awk 'NR == FNR { if ($2 == "lost") lost[$4] = 1; next }
        $2 != "enter" {
            if ($2 == "refused") print $3, "was refused under token", $4, "in its session"
            if ($4 == held) held = ""
            next
        }
        {
            grants++
            if (held && !(held in lost)) {
                print $3, "got the lock, token", $4 ", while", by, "held it"
                doubles++
            }
            if ($4 <= last && !($4 in lost)) print "token", $4, "came after", last
            if ($4 > last) last = $4
            if (!first) first = $4
            held = $4; by = $3
        }
        END {
            for (t in lost) ended++
            if (!grants) print "there was no grant"
            printf "%d turns", grants >summary
            if (ended) printf ", %d ended with their session", ended >summary
            printf ", %d at once with another; tokens from %d to %d\n", doubles, first,
                last >summary
        }' summary="$work/summary" "$journal" "$journal" >"$work/found" &&
        cat "$work/summary" "$work/found"
}

# An entry that nobody was told about is right only if its writer said that it cannot know.
check_ledger() {
    sort -k 2n "$work/ledger.nodes" >"$work/ledger.sorted"
    awk -v summary="$work/summary" '
        FILENAME ~ /journal$/ {
            if ($2 == "enter") granted[$4] = $3
            if ($2 == "lost" || $2 == "unsure") unknown[$4] = 1
            next
        }
        FILENAME ~ /acknowledged$/ {
            mine = $2 " " $3 " " $4
            if ($1 in entry) print $1, "was acknowledged twice:", entry[$1], "and", mine
            entry[$1] = mine
            acknowledged++
            next
        }
        {
            if ($5 < last) print $1, "with token", $5, "was written after token", last
            last = $5
            if (granted[$5] != $4) print $1, "was written by", $4, "without a grant"
            if (!($1 in entry)) {
                if (!($5 in unknown)) print $1, "is there, but nobody was told of it"
            } else if (entry[$1] != $4 " " $5 " " $6) {
                print $1, "is", $4, $5, $6 ", acknowledged was", entry[$1]
            }
            delete entry[$1]
        }
        END {
            for (path in entry) { print path, "was acknowledged and is missing"; missing++ }
            printf "%d acknowledged entries, %d missing\n", acknowledged, missing >summary
        }' "$journal" "$work/workers"/*.acknowledged "$work/ledger.sorted" >"$work/found" &&
        cat "$work/summary" "$work/found"
}

# A stream's node was written as often as its version says.
check_streams() {
    awk -v summary="$work/summary" '
        NR == FNR { version[$1] = $3; content[$1] = $4; next }
        {
            acknowledged += $2
            lost = $2 - version[$1]
            if (lost > 0) {
                missing += lost
                print $1, "misses", lost, "acknowledged writes"
            }
            if (-lost > $3) print $1, "was written", -lost, "times more than asked"
            if (content[$1] != version[$1]) print $1, "is not what was written last"
        }
        END {
            printf "%d acknowledged writes of %d streams, %d missing\n", acknowledged, FNR,
                missing >summary
        }' "$work/streams.nodes" "$work/streams/summary" >"$work/found" &&
        cat "$work/summary" "$work/found"
}

run_checks() {
    for parent in ledger streams; do
        "$build/bin/example-read_nodes" /$parent >"$work/$parent.nodes" \
            2>"$work/read.log" ||
            fail "the nodes cannot be read: $(cat "$work/read.log")"
    done
    report check_turns
    report check_ledger
    report check_streams
    [ -z "$failed" ] || exit 1
}

case ${1:-} in
'') ;;
--keep) keep=yes ;;
*) echo "usage: sh examples/quickstart.sh [--keep]" >&2; exit 2 ;;
esac
start_ms=$(now_ms)
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
work=$(mktemp -d "${TMPDIR:-/tmp}/tidelock-quickstart.XXXXXX") || exit 1
journal=$work/workers/journal
build_programs
PATH=$build/bin:$PATH
export PATH
run_story
run_checks
say "all of it held"
