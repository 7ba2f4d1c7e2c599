#!/bin/sh
# embed.sh OUT.c FILE.lua... -- writes the recipes as C arrays, for lua/shipped.h.
# Needs nothing but a bare Debian: od and sed.
set -eu
out=$1
shift

{
    echo '#include "lua/shipped.h"'
    for file in "$@"; do
        name=$(basename "$file" .lua)
        printf '\nstatic const unsigned char source_%s[] = {\n' "$name"
        od -An -v -tx1 "$file" | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'
        printf '};\n'
    done
    printf '\nconst struct recipe_shipped RECIPES_SHIPPED[] = {\n'
    for file in "$@"; do
        name=$(basename "$file" .lua)
        printf '    { "%s", source_%s, sizeof(source_%s) },\n' "$name" "$name" "$name"
    done
    printf '    { NULL, NULL, 0 },\n};\n'
} > "$out.new"
mv "$out.new" "$out"
