# shellcheck shell=sh disable=SC2154 # set by quickstart.sh
# checks.sh -- part of quickstart.sh: what was promised, checked on what the programs wrote
# down and on what the service holds. Each .awk beside this file is one check: it prints a
# line of what it found, and then one line per problem.

# check NAME [VARIABLE=VALUE...] FILE...
check() {
    rule=$1
    shift
    awk -f "$quickstart/$rule.awk" "$@" >"$work/report" ||
        fail "the check $rule could not read its input"
    echo "checks: $(head -n 1 "$work/report")"
    tail -n +2 "$work/report" | head -n 10 >"$work/problems"
    while read -r line; do problem "$line"; done <"$work/problems"
}

# read_nodes PARENT: "PATH CZXID VERSION DATA" of its children, in the order of creation
read_nodes() {
    "$build/bin/example-read_nodes" "/$1" 2>"$work/read.log" >"$work/$1.unsorted" ||
        fail "the nodes cannot be read: $(cat "$work/read.log")"
    sort -k 2n "$work/$1.unsorted" >"$work/$1.nodes"
}

run_checks() {
    for parent in ledger terms streams till; do read_nodes $parent; done
    balance=$(tidelock get /till) || fail "the till cannot be read"
    logs=$work/logs

    check turns unit=turns what="the lock" "$work/lock/journal"
    check entries unit=entries "$work/lock/journal" "$work/lock"/*.acknowledged \
        "$work/ledger.nodes"
    check turns unit=terms what="the leadership" "$work/election/journal"
    check entries unit="works of leaders" "$work/election/journal" \
        "$work/election"/*.acknowledged "$work/terms.nodes"
    check leaders "$work/election/journal" "$logs"/observer-*.out
    check versions "$logs/publisher.out" "$logs"/watcher-*.out
    check till balance="$balance" "$work"/lock/*.moves "$work"/election/*.moves \
        "$work/till.nodes"
    check streams "$work/streams.nodes" "$work/streams"
    [ -z "$failed" ] || exit 1
}
