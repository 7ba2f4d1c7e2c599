# entries.awk JOURNAL NAME.acknowledged... NODES -- every acknowledged entry is there, once,
# unaltered; and the service took them in the order of the tokens, each under a real turn.
#
# An entry that nobody was told about is right only if its writer could not know. An entry
# is "NAME TOKEN N"; acknowledged lines are "PATH ENTRY", nodes "PATH CZXID VERSION ENTRY".
function problem(text) { problems[++problems_count] = text }

FILENAME ~ /journal$/ {
    if ($2 == "enter") granted[$4] = $3
    if ($2 ~ /^(lost|unsure|killed)$/) unknown[$4] = 1
    next
}
FILENAME ~ /acknowledged$/ {
    mine = $2 " " $3 " " $4
    if ($1 in entry) problem($1 " was acknowledged twice: " entry[$1] " and " mine)
    if (mine in told) problem(mine " was written twice: " told[mine] " and " $1)
    entry[$1] = mine
    told[mine] = $1
    acknowledged++
    next
}
{
    mine = $4 " " $5 " " $6
    if ($5 < last) problem($1 " with token " $5 " was written after token " last)
    last = $5
    if (granted[$5] != $4) problem($1 " was written by " $4 " without a grant")
    if (mine in present) problem(mine " is there twice: " present[mine] " and " $1)
    present[mine] = $1
    if (!($1 in entry)) {
        if (!($5 in unknown)) problem($1 " is there, but nobody was told of it")
    } else if (entry[$1] != mine) {
        problem($1 " is " mine ", acknowledged was " entry[$1])
    }
    delete entry[$1]
}
END {
    for (path in entry) {
        problem(path " was acknowledged and is missing")
        missing++
    }
    if (!acknowledged) problem("nothing was acknowledged")
    printf "%d acknowledged %s, %d missing\n", acknowledged, unit, missing
    for (i = 1; i <= problems_count; i++) print problems[i]
}
