#!/bin/sh
# Every #include of ours points left in the order of layers, and only edges name the
# libraries that do I/O.
cd "$(dirname "$0")/../.." || exit 1

# layer: what it may include of ours
allowed() {
    case "$1" in
    core/base) echo "core/base" ;;
    core/paxos) echo "core/base core/paxos" ;;
    core/kv) echo "core/base core/kv" ;;
    core/tree) echo "core/base core/kv core/tree" ;;
    core/session) echo "core/base core/kv core/tree core/session" ;;
    # machine: of paxos only the words and the run rule, see below
    core/machine) echo "core/base core/kv core/tree core/session core/machine core/paxos" ;;
    core/watch) echo "core/base core/kv core/tree core/session core/machine core/watch" ;;
    core/replica) echo "core/base core/paxos core/kv core/tree core/session core/machine \
core/replica" ;;
    core/log) echo "core/base core/paxos core/log" ;;
    core/state) echo "core/base core/kv core/state" ;;
    core/rpc) echo "core/base core/rpc" ;;
    core/client) echo "core/base core/rpc core/client" ;;
    lua) echo "core/base core/kv core/tree core/session core/machine lua" ;;
    lua/trial) echo "core/base core/kv core/tree core/session core/machine core/paxos lua lua/trial" ;;
    lua/client) echo "core/base core/rpc core/client lua lua/client" ;;
    core/server) echo "core/base core/paxos core/kv core/tree core/session core/machine \
core/watch core/replica core/log core/state core/rpc lua core/server" ;;
    cli) echo "core/base core/rpc core/client core/log core/machine core/server lua lua/trial cli" ;;
    *) echo "" ;;
    esac
}

pure="core/base core/paxos core/kv core/tree core/session core/machine core/watch core/replica"
count=0
fail=0
result() { # name, output of the check
    count=$((count + 1))
    if [ -z "$2" ]; then
        echo "ok $count - $1"
    else
        fail=1
        echo "not ok $count - $1"
        echo "$2" | sed 's/^/# /'
    fi
}

for layer in core/base core/paxos core/kv core/tree core/session core/machine core/watch core/replica \
    core/log core/state core/rpc core/client lua lua/trial lua/client core/server cli; do
    bad=""
    for file in "$layer"/*.c "$layer"/*.h; do
        [ -f "$file" ] || continue
        for include in $(sed -n 's/^#include "\(.*\)"$/\1/p' "$file"); do
            case "$include" in */*) ;; *) bad="$bad$file: \"$include\" names no folder
"; continue ;; esac
            case " $(allowed "$layer") " in
            *" ${include%/*} "*) ;;
            *) bad="$bad$file includes $include
" ;;
            esac
        done
    done
    result "$layer includes only what stands left of it" "$bad"
done

# shellcheck disable=SC2086  # a list of folders
result "no pure layer names a library that does I/O" \
    "$(grep -nE '#include <(uv|msgpack|lua|lauxlib|rocksdb|sys/|unistd|pthread|time\.h|poll|netinet)' \
        -r $pure --include='*.[ch]' | grep -v '^core/base/log.c')"
# shellcheck disable=SC2046  # a list of folders
result "no pure layer asks for the time or for randomness" \
    "$(grep -nE '\b(time|clock_gettime|gettimeofday|rand|random|getrandom)\(' -r $pure \
        --include='*.c' | grep -v '^core/base/log.c')"
result "machine takes from paxos only its words and the run rule" \
    "$(grep -n '#include "core/paxos/' core/machine/*.[ch] | grep -vE 'paxos/(types|run)\.h')"
result "tests are named in no source outside tests" \
    "$(grep -n '#include "tests/' -r core lua cli --include='*.[ch]')"
echo "1..$count"
exit $fail
