/* shipped.h -- Lua sources that come with the programs; made by recipes/embed.sh. */
#ifndef LUA_SHIPPED_H
#define LUA_SHIPPED_H

#include <stddef.h>

struct recipe_shipped {
    const char *name; /* NULL ends the array */
    const unsigned char *source;
    size_t len;
};

extern const struct recipe_shipped RECIPES_SHIPPED[];
extern const struct recipe_shipped TRIAL_SHIPPED[]; /* lua/trial/trial.lua */
extern const struct recipe_shipped CLIENT_SHIPPED[]; /* lua/client/tidelock.lua */

#endif
