#!/bin/sh
# embed.sh OUT.c ARRAY FILE.lua... -- writes Lua sources as ARRAY of lua/shipped.h.
# Needs nothing but a bare Debian: od and sed.
set -eu
out=$1
array=$2
shift 2

{
    echo '#include "lua/shipped.h"'
    for file in "$@"; do
        name=$(basename "$file" .lua)
        printf '\nstatic const unsigned char source_%s[] = {\n' "$name"
        od -An -v -tx1 "$file" | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'
        printf '};\n'
    done
    printf '\nconst struct recipe_shipped %s[] = {\n' "$array"
    for file in "$@"; do
        name=$(basename "$file" .lua)
        printf '    { "%s", source_%s, sizeof(source_%s) },\n' "$name" "$name" "$name"
    done
    printf '    { NULL, NULL, 0 },\n};\n'
} > "$out.new"
mv "$out.new" "$out"
