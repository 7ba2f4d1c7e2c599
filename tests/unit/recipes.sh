#!/bin/sh
# The tests of every shipped recipe, by `tidelock recipe test`; and that this command tells
# a good recipe from a bad one.
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

for tests in recipes/*_test.lua examples/*_test.lua tests/recipes/*_test.lua; do
    "$tidelock" recipe test "${tests%_test.lua}.lua" > "$dir/out" 2>&1
    result $? "the rules of $(basename "$tests" _test.lua): $(grep -c '^ok' "$dir/out")" "$dir/out"
done

# says NAME STATUS TEXT: the recipe and tests in $dir end with STATUS and say TEXT.
says() {
    "$tidelock" recipe test "$dir/x.lua" > "$dir/out" 2>&1
    status=$?
    grep -qF -- "$3" "$dir/out" && [ "$status" -eq "$2" ]
    result $? "$1" "$dir/out"
}

recipe='local x = {} function x.one(tx) tx:create("/one") return 1 end return x'
echo "$recipe" > "$dir/x.lua"
cat > "$dir/x_test.lua" <<'END'
test("good", function(t) t:equal(t:call("x.one"), 1) end)
test("wrong", function(t) t:equal(t:call("x.one"), 2) end)
test("a world of its own", function(t) t:call("x.one") end)
END
says "a rule that does not hold is told with its line" 1 "x_test.lua:2: 1 is not 2"
says "the rules after it are run, each in a world of its own" 1 "ok 3 - a world of its own"
echo 'test("endless", function() while true do end end)' > "$dir/x_test.lua"
says "an endless test ends" 1 "over their budget of fuel"
echo 'test("no world", function() os.exit(0) end)' > "$dir/x_test.lua"
says "a test cannot reach the machine" 1 "'os'"
echo 'test("open' > "$dir/x_test.lua"
says "tests that do not load say where" 1 "x_test.lua:1: unfinished string"
echo '' > "$dir/x_test.lua"
says "no test at all is a mistake" 2 "there is no test in"
echo 'return 5' > "$dir/x.lua"
echo 'test("any", function() end)' > "$dir/x_test.lua"
says "a recipe that does not load fails every test" 1 "a recipe must return a table of functions"
# check_says NAME STATUS TEXT: $dir/y.lua is checked so.
check_says() {
    "$tidelock" recipe check "$dir/y.lua" > "$dir/out" 2>&1
    status=$?
    printf '%s' "$3" | diff - "$dir/out" > "$dir/diff" && [ "$status" -eq "$2" ]
    result $? "$1" "$dir/diff"
}

for recipe in recipes/*.lua; do
    case "$recipe" in *_test.lua) continue ;; esac
    "$tidelock" recipe check "$recipe" > "$dir/out" 2>&1
    result $? "$(basename "$recipe") is in order" "$dir/out"
done
cat > "$dir/y.lua" <<'END'
local y <const> = {}
function y.f(tx, args)
  count = os.time() -- os
  tx:nope("os")
  local t = { count = 1, other = string.dump, [ [[print]] ] = args.print }
  for k in pairs(t) do goto done end
  ::done::
  return t.os, function(x, ...) return x, zz end
end
return y
END
check_says "names that mean nothing are told with their lines" 1 \
    "y:3: count is assigned as a global: say local
y:3: os means nothing in the sandbox
y:4: nope is no function of tx
y:5: dump is not in that library of the sandbox
y:8: zz means nothing in the sandbox
"
printf 'return {' > "$dir/y.lua"
check_says "what does not load is told" 1 "y:1: unexpected symbol near <eof>
"

(cd "$dir" && "$tidelock" recipe new fresh && "$tidelock" recipe check fresh.lua &&
    "$tidelock" recipe test fresh.lua) > "$dir/out" 2>&1
result $? "a new recipe is in order and passes its tests" "$dir/out"
(cd "$dir" && ! "$tidelock" recipe new fresh && grep -q hello fresh.lua) > "$dir/out" 2>&1
result $? "no file is written over" "$dir/out"
echo "1..$count"
