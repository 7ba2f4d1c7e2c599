#!/bin/sh
# The examples of docs/recipes.md are right: each block of Lua that begins with the name of a
# file is written there, and every recipe passes its tests. And the page names all there is.
cd "$(dirname "$0")/../.." || exit 1
tidelock=${TIDELOCK_BUILD:-$PWD/build}/bin/tidelock
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
count=0

result() { # 0 or not, name, file of output
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        echo "not ok $count - $2"
        sed 's/^/# /' "$3"
    fi
}

awk -v dir="$dir" '
    /^```/ { file = ""; inside = !inside; first = inside && $0 == "```lua"; next }
    first { first = 0; if ($1 == "--" && $2 ~ /\.lua$/) file = dir "/" $2 }
    inside && file != "" { print > file }
' docs/recipes.md

for tests in "$dir"/*_test.lua; do
    recipe=${tests%_test.lua}.lua
    "$tidelock" recipe test "$recipe" > "$dir/out" 2>&1
    result $? "the guide's $(basename "$recipe"): $(grep -c '^ok' "$dir/out")" "$dir/out"
    "$tidelock" recipe check "$recipe" > "$dir/out" 2>&1
    result $? "the guide's $(basename "$recipe") is in order" "$dir/out"
done

# named WHAT PREFIX: every name in $dir/names stands in the page, behind PREFIX.
named() {
    while read -r name; do
        grep -qF -- "$2$name" docs/recipes.md || echo "$name is missing"
    done < "$dir/names" > "$dir/out"
    [ ! -s "$dir/out" ]
    result $? "the page names $1" "$dir/out"
}

grep -o '"[a-z_]*", tx_object_' lua/tx.c | cut -d '"' -f 2 > "$dir/names"
named "every function of tx" "tx:"
sed -n 's/^ \*     \(array\|math\|string\|table\|utf8\) *\(.*\)/\2/p' lua/library.h |
    tr ' ' '\n' | grep -E '^[a-z]+$' > "$dir/names"
named "every function of the library" ""
echo "1..$count"
