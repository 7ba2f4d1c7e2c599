/* ask.h -- one request of a command, built from its options: arguments and options packed,
 * sent, its result turned into text. */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include "cli/remote.h"

struct ask {
    const struct options *o;
    enum method method;
    bool write; /* in a session, and so exactly once */
    bool calls; /* a query that is refused as read_only is called instead: ask_run() */
    struct buf params, options;
    uint32_t args_count, options_count;
    uint64_t limit_ms;
    int mistake; /* exit status of a mistake met while building it, told already; 0 = none
                  */
};

void ask_init(struct ask *a, const struct options *o, enum method method, bool write);
/* A call of a recipe's function in a session; a map of `count` members is then packed into
 * params: pack_cstr(name), pack_...(value). */
void ask_init_call(struct ask *a, const struct options *o, const char *function,
                   uint32_t count);
/* The same as a query, which costs no slot of the log and no session, at the level that
 * ask_level() says. A function that reads mostly, but has to write now, is called then. */
void ask_init_query(struct ask *a, const struct options *o, const char *function,
                    uint32_t count);
void ask_fini(struct ask *a);

/* The next option is packed behind its name: ask_option(a, "limit"), pack_uint(...). */
void ask_option(struct ask *a, const char *name);
/* The consistency of a read, by --any. */
void ask_level(struct ask *a);
/* --guard, if given. */
void ask_guard(struct ask *a);

/* Sends it and waits: 0, or a code with remote->message. May be sent again. */
int ask_send(struct ask *a, struct remote *remote, remote_result_fn fn, void *ctx);

/* Opens the service, asks once, writes `text` (that `fn` filled) to stdout, closes. Returns
 * the exit status; errors were told. */
int ask_run(struct ask *a, remote_result_fn fn, void *ctx, struct buf *text);

/* Tells of an error; an unknown outcome is said to be one. Returns the exit status. */
int ask_fail(const struct options *o, int code, const char *message);

#endif
