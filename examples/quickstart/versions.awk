# versions.awk PUBLISHER.out WATCHER.out... -- every watcher got version 1, 2, 3, ... of the
# configuration, all that were published, each once and with its own value.
#
# The publisher prints the number of each version; a watcher prints "N setting N", with
# quotes around the value or without.
function problem(text) { problems[++problems_count] = text }

function close_watcher() {
    if (watchers && wanted <= published) {
        missed += published - wanted + 1
        problem(watcher " has no version " wanted ", the last one is " published)
    }
}

NR == FNR {
    if ($1 != ++published) problem("version " $1 " was published after " published - 1)
    next
}
FNR == 1 {
    close_watcher()
    watchers++
    wanted = 1
    watcher = FILENAME
    sub(/.*\//, "", watcher)
    sub(/\.out$/, "", watcher)
}
{
    gsub(/"/, "")
    if ($0 != wanted " setting " wanted) {
        problem(watcher " got \"" $0 "\" as version " wanted)
        missed++
    }
    if ($1 ~ /^[0-9]+$/) wanted = $1 + 1
}
END {
    close_watcher()
    if (watchers < 3) problem("only " watchers + 0 " watchers got a version")
    printf "%d versions of a configuration were seen in order by %d watchers, %d missed\n",
        published, watchers, missed
    for (i = 1; i <= problems_count; i++) print problems[i]
}
