# till.awk balance=N NAME.moves... NODES -- the till holds the sum of all moves that were
# done, and counted those of each worker; what was refused changed nothing.
#
# A move is "done AMOUNT", "refused AMOUNT" or, when nobody told in time, "unsure AMOUNT". A
# node is "/till/NAME CZXID VERSION MOVES".
function problem(text) { problems[++problems_count] = text }

FILENAME ~ /moves$/ {
    name = FILENAME
    sub(/.*\//, "", name)
    sub(/\.moves$/, "", name)
    if ($1 == "refused") { refused++; next }
    moves[name, $1]++
    if ($1 == "unsure") { unsure++; next }
    done++
    sum += $2
    next
}
{
    name = $1
    sub(/.*\//, "", name)
    said = moves[name, "done"] + 0
    if ($4 < said || $4 > said + moves[name, "unsure"]) {
        problem("the till counted " $4 " moves of " name ", who made " said)
    }
}
END {
    if (!done || !refused) problem("the till was not put to the test")
    if (balance < 0 || balance > 100) problem("the till holds " balance)
    if (balance != sum && !unsure) problem("the till holds " balance ", moved were " sum)
    printf "%d moves of the till and %d refused; it holds %d of %d\n", done, refused,
        balance, sum
    for (i = 1; i <= problems_count; i++) print problems[i]
}
