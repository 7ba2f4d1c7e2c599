/* The prefix: the part of the tree that the program takes for the whole. */
#include <stdlib.h>

#include "core/base/limits.h"
#include "core/client/client.h"

static bool part_is_good(const char *part, size_t len)
{
    return len > 0 && !(len == 1 && part[0] == '.') &&
           !(len == 2 && part[0] == '.' && part[1] == '.');
}

bool prefix_is_good(const char *prefix)
{
    if (*prefix == '\0') return true;
    if (strlen(prefix) >= PATH_BYTES_MAX) return false;
    while (*prefix == '/') {
        const size_t len = strcspn(prefix + 1, "/");

        if (!part_is_good(prefix + 1, len)) return false;
        prefix += 1 + len;
    }
    return *prefix == '\0';
}

/* What does not begin with a slash, or is the root with a name to come, would leave the
 * prefix if the two were just put together. */
void prefix_put(const tl_client *c, struct buf *out, const char *path)
{
    const bool is_root = strcmp(path, "/") == 0;

    if (path[0] == '/') buf_put_bytes_raw(out, bytes_str(c->prefix));
    if (!is_root || c->prefix[0] == '\0') buf_put_bytes_raw(out, bytes_str(path));
}

struct bytes prefix_strip(const tl_client *c, struct bytes path)
{
    const size_t len = strlen(c->prefix);

    if (len == 0 || path.len < len || memcmp(path.ptr, c->prefix, len) != 0) return path;
    if (path.len == len) return BYTES_LIT("/");
    return bytes_of(path.ptr + len, path.len - len);
}

char *tl_path(tl_client *c, const char *path)
{
    struct buf full = { 0 };

    prefix_put(c, &full, path);
    buf_put_u8(&full, 0);
    return (char *) full.ptr;
}
