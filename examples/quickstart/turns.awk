# turns.awk JOURNAL -- no two had their turn at once, and tokens only rose.
#
# A line is "MS WHAT NAME TOKEN": enter when NAME got its turn; leave before it gives it
# back; killed when it was gone; lost, unsure, refused when it ended otherwise. A turn whose
# session ended may be followed by another one before it says so: its guard fences it.
function problem(text) { problems[++problems_count] = text }

{
    what_came[NR] = $2; name[NR] = $3; token[NR] = $4
    if ($2 == "lost") lost[$4] = 1
}

function enter(line) {
    count++
    if (held && !(held in lost)) {
        problem(name[line] " got " what ", token " token[line] ", while " by " had it")
        doubles++
    }
    if (token[line] <= last && !(token[line] in lost)) {
        problem("token " token[line] " came after " last)
    }
    if (token[line] > last) last = token[line]
    if (!first) first = token[line]
    held = token[line]
    by = name[line]
}

END {
    for (i = 1; i <= NR; i++) {
        if (what_came[i] == "refused") {
            problem(name[i] " was refused under token " token[i] " in its session")
        }
        if (what_came[i] == "enter") {
            enter(i)
        } else if (token[i] == held) {
            held = ""
        }
    }
    if (!count) problem("there was no grant of " what)
    for (t in lost) ended++
    printf "%d %s", count, unit
    if (ended) printf ", %d ended with their session", ended
    printf ", %d at once with another; tokens from %d to %d\n", doubles, first, last
    for (i = 1; i <= problems_count; i++) print problems[i]
}
