# leaders.awk JOURNAL OBSERVER.out... -- every observer saw each leader come, in order.
#
# An observer prints "ZXID created PATH VALUE" when somebody is elected, where ZXID is the
# token, and "ZXID deleted PATH" when the term has ended. Who was elected and did not know
# it any more is seen by the observers only, so they must agree with each other, too. "ZXID
# lagged" says that what came before may be missing, which is not to miss it unawares.
function problem(text) { problems[++problems_count] = text }

FILENAME ~ /journal$/ {
    if ($2 == "enter") elected[++elected_count] = $4
    next
}
FNR == 1 {
    observer[++observers] = FILENAME
    sub(/.*\//, "", observer[observers])
    sub(/\.out$/, "", observer[observers])
    last = leads = 0
}
{
    if ($2 == "armed") next
    if ($2 == "lagged") {
        gap_after[++gaps] = last
        gap_end[gaps] = last = $1
        gap_of[gaps] = observers
        leads = 0
        next
    }
    if ($1 <= last) problem(observer[observers] " saw " $2 " " $1 " after " last)
    last = $1
}
$2 == "created" {
    if (leads) problem(observer[observers] " saw " $1 " lead while " leads " did")
    leads = $1
    saw[observers, $1] = 1
    terms[$1] = 1
    next
}
$2 == "deleted" { leads = 0; next }
{ problem(observer[observers] " says " $2 " " $1) }

function in_gap(who, token, g) {
    for (g = 1; g <= gaps; g++) {
        if (gap_of[g] != who) continue
        if (token + 0 > gap_after[g] && token + 0 <= gap_end[g]) return 1
    }
    return 0
}

END {
    for (i = 1; i <= elected_count; i++) terms[elected[i]] = 1
    for (t in terms) {
        count++
        for (i = 1; i <= observers; i++) {
            if ((i, t) in saw || in_gap(i, t)) continue
            missed++
            problem(observer[i] " missed the leader of token " t)
        }
    }
    if (!observers) problem("nobody observed")
    printf "%d leaders were seen in order by %d observers, %d missed", count, observers,
        missed
    if (gaps) printf ", %d gaps were told", gaps
    printf "\n"
    for (i = 1; i <= problems_count; i++) print problems[i]
}
