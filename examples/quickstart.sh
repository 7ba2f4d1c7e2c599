#!/bin/sh
# quickstart.sh -- installs what is missing, builds, starts three servers on this machine
# and programs in C, Lua and shell that share a lock, elect a leader, publish and watch a
# configuration, and call a recipe, while servers are killed; then checks every promise.
#
#     sh examples/quickstart.sh           leaves nothing behind but the build
#     sh examples/quickstart.sh --keep    leaves the cluster running
#
# Exit status 0: no two workers had the lock at once and no two services led, tokens only
# rose, no acknowledged write is missing and none was done twice, nobody who watched missed
# anything. Otherwise the logs are kept, and told where.
# Environment: TIDELOCK_BUILD, the folder to build in (default: build); TIDELOCK_PREBUILT=1,
# take the programs there as they are; TMPDIR, where the servers' data goes for the time;
# SEED, of the moments at which servers are killed.
set -u

root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
quickstart=$root/examples/quickstart
build=${TIDELOCK_BUILD:-$root/build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
KILLS=4 # of the server that leads
TIMES=4 # that all servers are killed at once and find a slow disk
SEED=${SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
keep='' work='' started='' failed='' draws=0

now_ms() { date +%s%3N; }

say() {
    awk -v ms="$(($(now_ms) - start_ms))" -v text="$1" \
        'BEGIN { printf "%6.1f s  %s\n", ms / 1000, text }'
}

problem() {
    echo "quickstart: FAILED: $1" >&2
    failed=yes
}

fail() {
    echo "quickstart: $1" >&2
    failed=yes
    exit 1
}

# shellcheck source=SCRIPTDIR/quickstart/processes.sh
. "$quickstart/processes.sh"
# shellcheck source=SCRIPTDIR/quickstart/servers.sh
. "$quickstart/servers.sh"
# shellcheck source=SCRIPTDIR/quickstart/checks.sh
. "$quickstart/checks.sh"

# --- leaving ---

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
        echo "quickstart: SEED=$SEED kills at the same moments, as far as it can" >&2
    elif [ -n "$work" ]; then
        rm -rf "$work"
    fi
}

# --- the programs ---

# worker LANGUAGE lock|election NAME
worker() {
    case $1 in
    c) start "$2-$3" "$build/bin/example-worker" "$2" "$3" "$work/$2" ;;
    lua) start "$2-$3" lua5.4 "$quickstart/worker.lua" "$2" "$3" "$work/$2" ;;
    sh) start "$2-$3" sh "$quickstart/worker.sh" "$2" "$3" "$work/$2" ;;
    esac
}

start_workers() {
    for n in 1 2; do
        for language in c lua sh; do worker $language lock $language-$n; done
    done
    say "six workers, in C, Lua and shell, take one lock in turn and write a ledger"
}

start_services() {
    leader_node=/service/leader
    start observer-c "$build/bin/example-watch" $leader_node
    start observer-lua lua5.4 "$root/examples/watch.lua" $leader_node
    start observer-sh tidelock watch --value $leader_node
    for one in c lua sh; do await "observer $one" is_armed $one; done
    for language in c lua sh; do worker $language election $language; done
    say "three services elect a leader, again and again; three observers watch who leads"
}

is_armed() { grep -q armed "$work/logs/observer-$1.out"; }

start_publisher() {
    start watcher-c "$build/bin/example-config_watch" /config
    start watcher-lua lua5.4 "$root/examples/config_watch.lua" /config
    start watcher-sh tidelock config watch /config
    start publisher sh "$quickstart/publisher.sh" /config "$work/lock"
    say "versions of a configuration are published, and watched by three others"
}

# All workers and services put money into one till and take some out, at any time.
put_recipe() {
    cat >"$work/till.lua" <<'END'
-- till.lua -- money that many put in and take out: never below nothing, never above LIMIT.
--
-- Tree  /till         what is in it
--       /till/<name>  how many moves that one made
local till <const> = {}

local LIMIT <const> = 100

local function add(tx, path, amount)
  if not tx:exists(path) then tx:create(path, "0") end
  local sum <const> = tonumber(tx:get(path)) + amount
  tx:set(path, tostring(sum))
  return sum
end

--- Put money in, or take some out. Nobody can come between: a call is one transaction.
-- @param args.by      who
-- @param args.amount  how much; below 0: out
-- @return what is in the till then
function till.move(tx, args)
  local sum <const> = add(tx, "/till", args.amount)
  add(tx, "/till/" .. args.by, 1)
  if sum < 0 or sum > LIMIT then tx:fail("the till would hold " .. sum) end -- undoes all
  return sum
end

return till
END
    tidelock recipe put "$work/till.lua" >/dev/null || fail "the recipe was refused"
    say "a recipe that stands in this script is put; they all keep their till by it"
}

# --- what goes on ---

# The order of the journal's lines is that of the turns. Lua tells no milliseconds: 0.
journal() { cat "$work/lock/journal"; }

turn_since() {
    journal | awk -v since="$1" '$2 == "enter" && $1 > since { found = 1 }
        END { exit !found }'
}

# Waits until a turn begins after the time given in ms.
await_turn() { await "a worker gets the lock" turn_since "$1"; }

# The longest time without a turn that ended after the time given in ms.
pause_since() {
    journal | awk -v since="$1" '$2 == "enter" && $1 > 0 {
            if ($1 >= since && last && $1 - last > most) most = $1 - last
            last = $1
        } END { print most + 0 }'
}

# A moment between 0.2 and 2 s from now, the same for the same SEED.
await_moment() {
    draws=$((draws + 1))
    sleep "$(awk -v seed=$((SEED * 100 + draws)) \
        'BEGIN { srand(seed); rand(); printf "%.3f", 0.2 + 1.8 * rand() }')"
}

# term: the journal's last line while a service in C or Lua leads
term() { tail -n 1 "$work/election/journal" | grep -E ' enter (c|lua) '; }

# It is stopped before it is killed, so that the journal can be trusted to tell who leads.
stop_the_service() {
    line=$(term) || return
    language=$(echo "$line" | cut -d ' ' -f 3)
    pid=$(pids_of "election-$language")
    kill -s STOP "$pid"
    [ "$(term)" != "$line" ] || return 0
    kill -s CONT "$pid"
    return 1
}

kill_the_service() {
    await "a service in C or Lua leads" stop_the_service
    killed_ms=$(now_ms)
    kill -s KILL "$pid"
    wait "$pid" 2>/dev/null
    forget "election-$language"
    echo "$killed_ms killed ${line#* enter }" >>"$work/election/journal"
    say "killed the service in $language, which led under token ${line##* }, with -9"
    await "another service leads" is_led_by_another
    say "the next one led after $(($(now_ms) - killed_ms)) ms, when the session had ended"
    worker "$language" election "$language"
}

is_led_by_another() { tail -n 1 "$work/election/journal" | grep -q -v killed; }

stream_since() {
    last=$(tidelock stat /streams/00 2>/dev/null | awk '$1 == "mtime" { print $2 }')
    [ "${last:-0}" -gt "$1" ] || has_ended "$(pids_of streams)"
}

await_streams() { await "the streams flow" stream_since "$(now_ms)"; }

# have PATTERN FILE...: whether each of them has such a line
have() {
    pattern=$1
    shift
    for file in "$@"; do grep -q "$pattern" "$file" || return 1; done
}

# --- the story ---

start_all() {
    mkdir "$work/lock" "$work/election" "$work/logs"
    : >"$work/lock/journal"
    start_servers
    say "three servers on loopback, node $(leader) leads; SEED=$SEED"
    put_recipe
    start_workers
    start_services
    start_publisher
}

# A write that was acknowledged too early, while it waited in memory for the sync of those
# before it, is lost when all servers die. So streams keep the servers busy, syncs are made
# slow, and it is tried some times.
kill_servers() {
    for _ in $(seq $KILLS); do kill_the_leader; done
    kill_the_service
    start streams "$build/bin/example-stream_writer" "$work/streams"
    for _ in $(seq $TIMES); do kill_all_servers slow_sync; done
    kill_all_servers
    await_streams
}

# Who watches gets what has happened until then.
stop_all() {
    kill -s TERM "$(pids_of streams)"
    finish streams
    touch "$work/lock/stop" "$work/election/stop"
    finish lock
    finish election
    finish publisher
    token=$(awk '$2 == "enter" && $4 > last { last = $4 } END { print last }' \
        "$work/election/journal")
    await "observers saw the last leader" have "^$token created" "$work/logs"/observer-*.out
    version=$(tail -n 1 "$work/logs/publisher.out")
    await "watchers have version $version" have "^$version " "$work/logs"/watcher-*.out
    stop observer
    stop watcher
    say "all have stopped"
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
build_programs
PATH=$build/bin:$PATH LUA_CPATH="$build/lua/?.so"
export PATH LUA_CPATH
start_all
kill_servers
stop_all
run_checks
say "all of it held"
