#!/bin/sh
# Plants the bugs of this folder one after another in a copy of the tree, and prints how
# many seeds the simulator takes to catch each, and by which rule. What the simulator does not
# meet in so many seeds must be caught by its scenarios, the exhaustive search (tests/unit/t_exhaust.c) or the
# unit test that the patch names.
#
#   sh tests/sim/mutants/run.sh             all of them
#   sh tests/sim/mutants/run.sh 07 21       these
#   MUTANT_SHARE=3/6 sh ...                 every sixth, from the third on
#   MUTANT_SEEDS=N                          give up on a mutant after N seeds (4000)
#
# Exits with 1 when a patch does not apply any more, or a mutant survives.
set -eu
cd "$(dirname "$0")/../../.."
seeds=${MUTANT_SEEDS:-4000}
share=${MUTANT_SHARE:-1/1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

copy_tree() {
    rm -rf "$work/tree"
    mkdir "$work/tree"
    cp -rp CMakeLists.txt core lua recipes cli tests examples "$work/tree"
    sed -i 's/ -Werror//' "$work/tree/CMakeLists.txt" # a planted bug may leave things unused
}
copy_tree
build() {
    cmake --build "$work/build" --target tidelock-sim -j "$(nproc)" >"$work/build.log" 2>&1
}
cmake -S "$work/tree" -B "$work/build" >/dev/null
build || { cat "$work/build.log"; exit 1; }
# A seed that breaks a rule of itself would catch every bug that is planted.
if ! "$work/build/bin/tidelock-sim" --seeds "$seeds" --jobs "$(nproc)" >"$work/run.log" 2>&1; then
    cat "$work/run.log"
    echo "the tree breaks a rule with no bug planted"
    exit 1
fi

# What the simulator said: the CHECK that failed, or the rule that broke.
rule_of() {
    sed -n -e 's/.*broken invariant: \(.*\) (this is a bug.*/CHECK(\1)/p' \
        -e 's/^BROKEN at [^:]*: //p' -e 's/^# BROKEN: \(.*\), after.*/\1/p' "$work/run.log" | head -1 | cut -c1-75
}

# The number of the seed is how many it took, for they begin at 1.
seed_of() {
    sed -n 's/^replay: tidelock-sim --seed \([0-9]*\).*/\1/p' "$work/run.log" | head -1
}

scenario_of() {
    sed -n 's/^replay: .*--scenario \([^ ]*\)$/\1/p' "$work/run.log" | head -1
}

# Bugs that need a rare order of events are left to the exhaustive search, or to the unit test
# that the patch names ("Else: t_x").
test_of() {
    sed -n 's/^Else: \(t_[a-z_]*\)$/\1/p' "$1" | grep . || echo t_exhaust
}
caught_by_test() {
    cmake --build "$work/build" --target "$1" -j "$(nproc)" >"$work/build.log" 2>&1 &&
        ! "$work/build/tests/$1" >"$work/run.log" 2>&1
}

survivors=0
say() {
    printf '%-38s %6s  %s\n' "$1" "$2" "$3"
}
judge() {
    name=$(basename "$1" .patch)
    if ! patch -p1 -s -f -d "$work/tree" <"$1" >"$work/patch.log" 2>&1; then
        say "$name" "-" "THE PATCH DOES NOT APPLY ANY MORE"
        survivors=$((survivors + 1))
        copy_tree
        return
    fi
    if ! build; then
        say "$name" "-" "DOES NOT COMPILE ($(grep -m1 error: "$work/build.log" | cut -c1-60))"
        survivors=$((survivors + 1))
    elif ! "$work/build/bin/tidelock-sim" --seeds "$seeds" --jobs "$(nproc)" \
        >"$work/run.log" 2>&1; then
        say "$name" "$(seed_of)" "$(rule_of)"
    elif ! "$work/build/bin/tidelock-sim" --scenario all --seeds 3 >"$work/run.log" 2>&1; then
        say "$name" "-" "$(scenario_of): $(rule_of)"
    elif caught_by_test "$(test_of "$1")"; then
        say "$name" "-" "$(test_of "$1") $(rule_of)"
    else
        say "$name" "$seeds" "SURVIVES"
        survivors=$((survivors + 1))
    fi
    patch -p1 -s -f -R -d "$work/tree" <"$1" >/dev/null
}

say "planted bug" "seeds" "caught by"
at=0
for patch in tests/sim/mutants/*.patch; do
    number=$(basename "$patch" | cut -d- -f1)
    at=$((at + 1))
    if [ $# -gt 0 ]; then
        case " $* " in *" $number "*) ;; *) continue ;; esac
    elif [ $((at % ${share#*/})) -ne $((${share%/*} % ${share#*/})) ]; then
        continue
    fi
    judge "$patch"
done
[ "$survivors" = 0 ] || { echo "$survivors not caught"; exit 1; }
