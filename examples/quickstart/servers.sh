# shellcheck shell=sh disable=SC2154,SC2034 # shared with quickstart.sh
# servers.sh -- part of quickstart.sh: the build, and three servers that are killed.

build_programs() {
    [ -z "${TIDELOCK_PREBUILT:-}" ] || return 0
    sh "$root/.ci/packages" build quickstart || fail "the packages could not be installed"
    if ! mkdir -p "$build" || ! [ -w "$build" ]; then
        fail "cannot write to $build; set TIDELOCK_BUILD to a folder of your own"
    fi
    {
        cmake -S "$root" -B "$build" &&
            cmake --build "$build" -j "$(nproc)" --target tidelock tidelockd tidelock-lua \
                example-worker example-stream_writer example-read_nodes example-watch \
                example-config_watch slow_sync
    } >"$work/build.log" 2>&1 ||
        fail "the build failed: $(grep -m 1 -i error "$work/build.log")"
    say "built in $build"
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

# leader [NOT]: the server that leads, waiting for an election to end
leader() {
    for _ in $(seq 200); do
        id=$(tidelock dev status --dir "$work/cluster" | awk '$2 == "leader" { print $1 }')
        [ -n "$id" ] && [ "$id" != "${1:-}" ] && echo "$id" && return
        sleep 0.05
    done
    return 1
}

kill_the_leader() {
    await_moment
    old=$(leader) || fail "no server leads"
    killed_ms=$(now_ms)
    tidelock dev kill --node "$old" --dir "$work/cluster" || fail "node $old was not killed"
    say "killed node $old, the leader, with -9"
    new=$(leader "$old") || fail "no server leads after node $old was killed"
    await_turn "$(now_ms)"
    sleep 1
    say "node $new leads; the lock did not pass on for $(pause_since "$killed_ms") ms"
    tidelock dev restart --node "$old" --dir "$work/cluster" ||
        fail "node $old does not start"
}

# kill_all_servers [slow_sync]: they find such a disk when they start again
kill_all_servers() {
    await_streams
    await_moment
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
