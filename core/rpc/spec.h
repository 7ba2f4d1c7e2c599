/* spec.h -- the method table in the form that requests are checked with.
 *
 * methods.h says "path:p data:d"; here that is an array of names and types. It is filled
 * before main() runs and never written again, so any thread may read it and there is one
 * source of truth. */
#ifndef CORE_RPC_SPEC_H
#define CORE_RPC_SPEC_H

#include "core/rpc/rpc.h"

struct spec_value {
    struct bytes name;
    char type; /* a letter of methods.h */
};

struct spec {
    struct bytes name;
    unsigned arguments_count; /* these come first in `at` */
    unsigned count;           /* arguments and options */
    struct spec_value at[RPC_VALUES_MAX];
};

const struct spec *spec_of(enum method method); /* not METHOD_NONE */
enum method spec_find(struct bytes name);       /* METHOD_NONE: there is none */
const char *spec_type_text(char type);          /* "a path (str)" */

#endif
