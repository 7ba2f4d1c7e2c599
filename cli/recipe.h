/* recipe.h -- what the commands about recipes share. */
#ifndef CLI_RECIPE_H
#define CLI_RECIPE_H

#include "core/base/bytes.h"

/* The file's base name without .lua. Borrowed. */
struct bytes recipe_name_of_file(const char *file);

#endif
