# streams.awk NODES SUMMARY -- no acknowledged write of a stream is missing, and none was
# done twice: a stream's node was written as often as its version says.
#
# A node is "PATH CZXID VERSION NUMBER", a line of the summary "PATH ACKNOWLEDGED UNKNOWN".
function problem(text) { problems[++problems_count] = text }

NR == FNR { version[$1] = $3; content[$1] = $4; next }
{
    acknowledged += $2
    lost = $2 - version[$1]
    if (lost > 0) {
        missing += lost
        problem($1 " misses " lost " acknowledged writes")
    }
    if (-lost > $3) problem($1 " was written " -lost " times more than asked")
    if (content[$1] != version[$1]) problem($1 " is not what was written last")
}
END {
    if (!acknowledged) problem("no stream was written")
    printf "%d acknowledged writes of %d streams, %d missing\n", acknowledged, FNR, missing
    for (i = 1; i <= problems_count; i++) print problems[i]
}
