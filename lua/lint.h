/* lint.h -- what is wrong with a recipe, as far as its text tells.
 *
 * It must load, as the servers demand. Beyond that each name that it uses must mean
 * something: a global name that is none of the sandbox's, a function of `tx` or of a library
 * that does not exist, a global that is assigned. It does not follow scopes: a name that is
 * local anywhere is taken for known everywhere. */
#ifndef LUA_LINT_H
#define LUA_LINT_H

#include "core/base/bytes.h"

/* Appends one line for each finding, "name:line: what"; returns how many. */
unsigned lint_run(struct bytes name, struct bytes source, struct buf *out);

#endif
