/* The protocol document, from the same tables that the server obeys. */
#include <stdio.h>

#include "core/rpc/rpc.h"
#include "core/rpc/spec.h"

static const struct {
    const char *result, *text;
} texts[METHOD_COUNT] = {
#define M(id, name, arguments, options, result, text) [METHOD_##id] = { result, text },
    METHODS(M)
#undef M
};

static const char introduction[] =
    "# The protocol of Tidelock\n"
    "\n"
    "This document is printed by `tidelockd --print-protocol` from the tables that the\n"
    "server itself obeys.\n"
    "\n"
    "## Messages\n"
    "\n"
    "Client and server speak\n"
    "[MessagePack-RPC](https://github.com/msgpack-rpc/msgpack-rpc) over TCP: one\n"
    "message behind the other, without any framing around them.\n"
    "\n"
    "| message | form |\n"
    "|---|---|\n"
    "| request | `[0, msgid, method, params]` |\n"
    "| response | `[1, msgid, error, result]` |\n"
    "| notification | `[2, method, params]` |\n"
    "\n"
    "`msgid` is an unsigned number of 32 bits that the response repeats. Requests may\n"
    "be sent without waiting for earlier responses, and responses may come in any\n"
    "order. `params` is an array: the method's arguments in order and then, if any\n"
    "option is given, one map of options. All arguments are required; all options may\n"
    "be left out. The first request of a connection is `hello`. Notifications that the\n"
    "server does not know are ignored, and so should be unknown members of a result. An\n"
    "unknown method, option or a value of a wrong type is answered with an error; bytes\n"
    "that are no message close the connection.\n"
    "\n"
    "A failed request has a nil result and the error\n"
    "`{code: int, name: str, message: str, details}`. `details` is nil or a map:\n"
    "`zxid` of the transaction that refused it; for a `multi` also `index`, which op was\n"
    "refused, counted from 0 (-1: a guard among the options); for a `call` or a `query` also\n"
    "`value`, if the recipe gave one; for `busy`, `retry_ms`: when to ask again.\n"
    "\n"
    "A `stat` is a map of these members:";

static const char introduction_end[] =
    "\n"
    "Data is accepted as str, bin or nil, and comes back as bin or nil.\n"
    "\n"
    "A write with the options `session` and `seq` is done once, however often and to\n"
    "whichever server it is sent: `seq` counts the session's writes 1, 2, 3, ... and a\n"
    "repeated one gets the first result. `ack` says that all results up to it have been\n"
    "received. A write with a `guard` takes place only if each node named there exists\n"
    "with that czxid.\n";

static const char watches[] =
    "\n## Watches\n"
    "\n"
    "A watch tells of changes at one path, whether a node stands there or not, until it is\n"
    "ended by `unwatch` or the connection closes. `data` (true unless given) is for the node\n"
    "itself, `children` for its list of children, `recursive` for the node and all nodes below\n"
    "it, without `children`. With `once` it ends with its first event. The client chooses the\n"
    "number, one that is not in use on the connection.\n"
    "\n"
    "    [2, \"events\", [zxid, [[watch, kind, path, data], ...]]]\n"
    "\n"
    "is all that one transaction means to the connection's armed watches; for several watches\n"
    "that hear of the same, `watch` is an array of their numbers. `kind` is `created`,\n"
    "`changed`, `deleted` or `children` (a child was created or deleted); `data` comes with\n"
    "`created` and `changed` if the watch was armed with `value`, and is the data that the\n"
    "transaction left. Notifications come in the order of zxids, and before any answer on the\n"
    "same connection that shows their change: an answer that names a zxid says that all events\n"
    "of armed watches up to it have come.\n"
    "\n"
    "The answer to `watch` names the zxid behind which events come, and the node's stat then,\n"
    "or nil. With `since`, the last zxid of which the client has seen everything, the events\n"
    "above it come first, as notifications before the answer, each once; a `once` watch that\n"
    "fires so is not armed. The error `lagged` means that they are no longer kept: arm without\n"
    "`since`, then read again. `watch.many` does the same for many watches, which are answered\n"
    "together; an error is of all of them.\n"
    "\n"
    "    [2, \"lagged\", [zxid, [watch, ...]]]\n"
    "\n"
    "says that these armed watches are gone, because the connection left too many events\n"
    "unread; everything up to that zxid was sent, so they can be armed again with it as\n"
    "`since`. To a connection with armed watches that had nothing to hear for long,\n"
    "\n"
    "    [2, \"progress\", [zxid]]\n"
    "\n"
    "says up to where that is everything.\n"
    "\n"
    "With `snapshot` a watch is told what stands at its path, and with `recursive` below it,\n"
    "after its answer:\n"
    "\n"
    "    [2, \"nodes\", [zxid, watch, [[path, mzxid, data], ...], more]]\n"
    "\n"
    "page by page as the connection reads, a node before those below it, with the transaction\n"
    "that changed its data last, and with the data if the watch was armed with `value`. Pages\n"
    "are of different zxids: between them the watch hears of changes of nodes that it was told\n"
    "of (or would have been, had they stood there). With the page whose `more` is false, all\n"
    "that came adds up to the tree at exactly its zxid, and whole transactions follow.\n";

static const char moved[] =
    "\n## Sessions that move\n"
    "\n"
    "A session is on the connection where it was opened or attached last, at whichever server.\n"
    "The one that had it before is told, unless that is lost on the way,\n"
    "\n"
    "    [2, \"moved\", [session]]\n"
    "\n"
    "and what it asks of the session is refused with `not_attached`.\n";

static const char members[] =
    "\n## Members\n"
    "\n"
    "The answer to `hello` names each member of the cluster and where it serves clients, so\n"
    "that a client need know one of them only. When that changes, connections that have said\n"
    "`hello` with `members` (false unless given) get the whole list anew:\n"
    "\n"
    "    [2, \"members\", [{id: client address}]]\n"
    "\n"
    "An address is empty while the server has not heard of it, and is what its server was\n"
    "told to announce: one that nobody can connect to, `0.0.0.0:7400`, says nothing.\n";

static void put_text(struct buf *out, const char *text)
{
    buf_put(out, text, strlen(text));
}

static void put_number_row(struct buf *out, const char *what, unsigned number)
{
    char row[120];

    snprintf(row, sizeof row, "| %s | %u |\n", what, number);
    put_text(out, row);
}

static void put_limits(struct buf *out)
{
    put_text(out, "\n## Limits\n\n| what | at most |\n|---|---|\n");
    put_number_row(out, "bytes of one message", RPC_BYTES_MAX);
    put_number_row(out, "bytes of one message before `hello`", RPC_HELLO_BYTES_MAX);
    put_number_row(out, "containers within containers", RPC_DEPTH_MAX);
    put_number_row(out, "bytes of a path", PATH_BYTES_MAX);
    put_number_row(out, "ops of one `multi`", MULTI_OPS_MAX);
    put_number_row(out, "names in one page of `children`", LIST_COUNT_MAX);
    put_number_row(out, "results of one session not yet acknowledged", SESSION_RESULTS_MAX);
    put_number_row(out, "watches of one connection", CONN_WATCHES_MAX);
    put_number_row(out, "watches of one `watch.many`", WATCH_MANY_MAX);
    put_number_row(out, "timeout of a session, ms", SESSION_TIMEOUT_MAX_MS);
    put_number_row(out, "timeout of a session, ms, at least", SESSION_TIMEOUT_MIN_MS);
}

static void put_values(struct buf *out, const char *title, const struct spec *spec,
                       unsigned from, unsigned to)
{
    if (from == to) return;
    put_text(out, title);
    for (unsigned i = from; i < to; i++) {
        put_text(out, "- `");
        buf_put_bytes_raw(out, spec->at[i].name);
        put_text(out, "`: ");
        put_text(out, spec_type_text(spec->at[i].type));
        put_text(out, "\n");
    }
}

static void put_method(struct buf *out, enum method method)
{
    const struct spec *spec = spec_of(method);

    put_text(out, "\n### ");
    put_text(out, rpc_method_name(method));
    put_text(out, "\n\n");
    put_text(out, texts[method].text);
    put_text(out, "\n");
    put_values(out, "\nArguments:\n\n", spec, 0, spec->arguments_count);
    put_values(out, "\nOptions:\n\n", spec, spec->arguments_count, spec->count);
    put_text(out, "\nResult: `");
    put_text(out, texts[method].result);
    put_text(out, "`\n");
}

static void put_errors(struct buf *out)
{
    char row[256];

    put_text(out, "\n## Errors\n\n| code | name | meaning |\n|---|---|---|\n");
#define X(id, code, word, text)                                                      \
    snprintf(row, sizeof row, "| %d | `%s` | %s |\n", code, word, text);             \
    put_text(out, row);
    ERRORS(X)
#undef X
}

void rpc_print_protocol(struct buf *out)
{
    put_text(out, introduction);
#define F(member, name) put_text(out, "\n`" name "`,");
    STAT_FIELDS(F)
#undef F
    out->ptr[out->len - 1] = '.';
    put_text(out, "\n");
    put_text(out, introduction_end);
    put_text(out, watches);
    put_text(out, moved);
    put_text(out, members);
    put_limits(out);
    put_text(out, "\n## Methods\n");
    for (enum method m = METHOD_NONE + 1; m < METHOD_COUNT; m++) put_method(out, m);
    put_errors(out);
}
