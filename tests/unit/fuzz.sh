#!/bin/sh
# Some seconds of random recipes and values against the sandbox; .ci/nightly runs ten minutes
# under sanitizers. FUZZ_SECONDS says how long.
fuzz=${TIDELOCK_BUILD:-build}/bin/tidelock-fuzz
out=$("$fuzz" --seconds "${FUZZ_SECONDS:-4}" --seed "${FUZZ_SEED:-1}" 2>&1)
status=$?
echo "$out" | sed 's/^/# /'
if [ $status -eq 0 ]; then echo "ok 1 - random recipes cost their budget and nothing else"
else echo "not ok 1 - random recipes cost their budget and nothing else"; fi
echo "1..1"
exit $status
