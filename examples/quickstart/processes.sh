# shellcheck shell=sh disable=SC2154 # set by quickstart.sh
# processes.sh -- part of quickstart.sh: programs that run beside it under a name. What they
# print goes to $work/logs/NAME.out, and their errors to NAME.log.

running='' # NAME:PID ...

# start NAME COMMAND...
start() {
    name=$1
    shift
    "$@" >>"$work/logs/$name.out" 2>>"$work/logs/$name.log" &
    running="$running $name:$!"
}

# pids_of PREFIX: of those whose names begin so
pids_of() {
    for one in $running; do
        case $one in "$1"*) echo "${one#*:}" ;; esac
    done
}

forget() {
    kept=''
    for one in $running; do
        case $one in "$1"*) ;; *) kept="$kept $one" ;; esac
    done
    running=$kept
}

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

# await WHAT COMMAND...: until the command is true
await() {
    what=$1
    shift
    for _ in $(seq 300); do
        "$@" && return
        sleep 0.1
    done
    fail "not within 30 s: $what"
}

tell_failure() {
    problem "$1: $(cat "$work/logs/$2"*.log | tail -n 1)"
}

# finish PREFIX: they were asked to end, and end well
finish() {
    ending=$(pids_of "$1")
    # shellcheck disable=SC2086  # a list of numbers
    end_within 40 $ending || fail "$1 did not end within 40 s"
    for pid in $ending; do
        wait "$pid" || tell_failure "one of the $1 programs failed" "$1"
    done
    forget "$1"
}

# stop PREFIX: those that go on until they are stopped
stop() {
    ending=$(pids_of "$1")
    for pid in $ending; do
        ! has_ended "$pid" || tell_failure "one of the $1 programs ended by itself" "$1"
    done
    # shellcheck disable=SC2086  # a list of numbers
    kill -s TERM $ending 2>/dev/null
    # shellcheck disable=SC2086
    end_within 10 $ending || fail "$1 did not stop within 10 s"
    forget "$1"
}

# On the way out. The children of a worker in shell end with it at TERM; KILL is for one
# that hangs.
stop_by_force() {
    ending=$(pids_of '')
    # shellcheck disable=SC2086  # a list of numbers
    for signal in CONT TERM KILL; do
        end_within 0 $ending && break
        kill -s "$signal" $ending 2>/dev/null
        [ "$signal" = CONT ] || end_within 3 $ending
    done
    running=''
}
