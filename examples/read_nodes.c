/* read_nodes.c -- prints the children of a node: path, czxid, version and data of each.
 *
 *     TIDELOCK_SERVERS=host:port,... example-read_nodes PATH
 *
 * czxid is the transaction that created the node, so it tells the order of creation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tidelock.h"

static int print_node(tl_client *client, const char *path)
{
    char *data;
    size_t len;
    tl_stat stat;
    const int code = tl_get(client, path, &data, &len, &stat);

    if (code != 0) return code;
    printf("%s %llu %d %s\n", path, (unsigned long long) stat.czxid, (int) stat.version,
           data == NULL ? "" : data);
    tl_free(data);
    return 0;
}

/* Children come a page at a time; the last name of a page is where the next begins. */
static int print_children(tl_client *client, const char *parent)
{
    char after[1024] = "", path[2048];
    bool more = true;
    int code = 0;

    while (more && code == 0) {
        char *names = NULL;
        size_t count = 0;

        code = tl_children(client, parent, after[0] == '\0' ? NULL : after, 0, &names,
                           &count, &more);
        const char *name = names;
        for (size_t i = 0; i < count && code == 0; i++, name += strlen(name) + 1) {
            snprintf(path, sizeof path, "%s/%s", parent, name);
            snprintf(after, sizeof after, "%s", name);
            code = print_node(client, path);
        }
        tl_free(names);
    }
    return code;
}

int main(int argc, char **argv)
{
    const tl_options options = { .servers = getenv("TIDELOCK_SERVERS") };
    tl_client *client = NULL;
    int code;

    if (argc != 2) {
        fprintf(stderr, "usage: %s PATH\n", argv[0]);
        return 2;
    }
    code = tl_connect(&options, &client);
    if (code == 0) code = print_children(client, argv[1]);
    if (code != 0) {
        fprintf(stderr, "%s: %s: %s\n", argv[1], tl_error_name(code), tl_message());
    }
    tl_close(client);
    if (fflush(stdout) != 0 && code == 0) {
        perror("standard output");
        code = TL_IO;
    }
    return code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
