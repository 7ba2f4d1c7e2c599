/* recipe.h -- what the commands about recipes share. */
#ifndef CLI_RECIPE_H
#define CLI_RECIPE_H

#include "cli/remote.h"

enum { RECIPE_NAME_BYTES_MAX = 64 }; /* the servers' own rule; they check again */

bool recipe_name_is_legal(struct bytes name);

/* The file's base name without .lua. Borrowed. */
struct bytes recipe_name_of_file(const char *file);

/* Opens the service and runs `fn` with the path of the recipe that the first word names.
 * Returns the exit status. */
int recipe_with(const struct options *o, uint32_t session_timeout_ms,
                int (*fn)(const struct options *o, struct remote *remote, const char *path));

/* Tells why there is no recipe of the first word in the tree. Returns the exit status. */
int recipe_fail_missing(const struct options *o, struct remote *remote);

/* Stores the source at `path`, the recipe of the first word, and prints its version. Returns
 * the exit status. */
int recipe_store(const struct options *o, struct remote *remote, const char *path,
                 struct bytes source);

/* Runs the tests beside `file`, if there are any. Returns 0, or the exit status, and what
 * failed was told. */
int recipe_own_tests(const struct options *o, const char *file, struct bytes name,
                     struct bytes source);

#endif
