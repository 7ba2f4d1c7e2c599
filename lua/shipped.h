/* shipped.h -- the recipes that come with the program; made by recipes/embed.sh. */
#ifndef LUA_SHIPPED_H
#define LUA_SHIPPED_H

#include <stddef.h>

struct recipe_shipped {
    const char *name; /* NULL ends the array */
    const unsigned char *source;
    size_t len;
};

extern const struct recipe_shipped RECIPES_SHIPPED[];

#endif
