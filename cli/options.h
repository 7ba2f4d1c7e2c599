/* options.h -- the command line: one table of flags, one row per command, one parser.
 *
 * Two rows of a name are one word with two meanings; a command takes one of them.
 * Help, parsing and the messages about mistakes all come from these tables, so they cannot
 * differ. Words that start with "-" are flags, up to "--"; a lone "-" is a word like any
 * other. Flags may stand before or after the words; those of GLOBAL_FLAGS also before the
 * command's name. Nothing here does I/O but printing help. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/base/limits.h"

/* X(id, "name", "value's name" or NULL for a switch, kind, min, max, "help") */
/* clang-format off */
#define FLAGS(X)                                                                          \
    X(SERVERS, "servers", "HOST:PORT,...", TEXT, 0, 0,                                    \
      "servers to try (else $TIDELOCK_SERVERS, else 127.0.0.1:7400)")                     \
    X(TIMEOUT, "timeout", "MS", NUMBER, 1, 86400000, "give up after so long (default 10000)") \
    X(OUTPUT, "output", "json|plain", TEXT, 0, 0, "form of the output; -o for short")     \
    X(HELP, "help", NULL, SWITCH, 0, 0, "print this help")                                \
    X(EPHEMERAL, "ephemeral", NULL, SWITCH, 0, 0,                                         \
      "refused: the node would go when this command ends; see `tidelock lock`")           \
    X(SEQUENTIAL, "sequential", NULL, SWITCH, 0, 0, "append the parent's next number to the name") \
    X(PARENTS, "parents", NULL, SWITCH, 0, 0, "create missing parents")                   \
    X(VERSION, "version", "N", NUMBER, 0, INT32_MAX, "only if the node is at this version") \
    X(GUARD, "guard", "PATH:TOKEN", TEXT, 0, 0, "only while this lock's grant is held")   \
    X(AFTER, "after", "NAME", TEXT, 0, 0, "only names behind this one")                   \
    X(LIMIT, "limit", "N", NUMBER, 1, UINT32_MAX, "at most so many names (default: all)") \
    X(WAIT, "wait", "MS", NUMBER, 0, UINT32_MAX, "how long it may wait (default: without limit)") \
    X(SESSION_TIMEOUT, "session-timeout", "MS", NUMBER, 1000, 600000,                     \
      "the session's lease (default 10000)")                                              \
    X(NODES, "nodes", "N", NUMBER, 1, 9, "servers of the cluster (default 3)")            \
    X(DIR, "dir", "D", TEXT, 0, 0, "the cluster's directory (default ./tidelock-dev)")    \
    X(NODE, "node", "N|leader", TEXT, 0, 0, "which server")                               \
    X(OP, "op", "OP", TEXT, 0, 0, "what to measure")                                      \
    X(CLIENTS, "clients", "N", NUMBER, 1, 10000, "connections, each with a session (default 1)") \
    X(DEPTH, "depth", "D", NUMBER, 1, 4096, "outstanding requests of each client (default 1)") \
    X(SIZE, "size", "B", NUMBER, 0, 1048576, "bytes of a value (default 100)")            \
    X(SECONDS, "seconds", "S", NUMBER, 1, 86400, "how long to measure (default 10)")      \
    X(WARMUP, "warmup", "S", NUMBER, 0, 3600, "unmeasured seconds before (default 3)")    \
    X(KEYS, "keys", "N", NUMBER, 1, 10000000, "nodes to work on (default 1024; of delete 100000)") \
    X(LOCKS, "locks", "N", NUMBER, 1, 1000000, "locks to choose from (default 1)")        \
    X(BATCH, "batch", "N", NUMBER, 1, 1000, "sets in each multi (default 10)")            \
    X(READ_SHARE, "read-share", "P", NUMBER, 0, 100, "percent of gets in a mix (default 90)") \
    X(RATE, "rate", "R", NUMBER, 1, 10000000,                                             \
      "open loop: so many operations begin a second, come what may")                      \
    X(PREPARED, "prepared", NULL, SWITCH, 0, 0, "the nodes were made by an earlier run")  \
    X(PROGRESS, "progress", NULL, SWITCH, 0, 0,                                           \
      "a line a second on standard error, also when that is no terminal")                 \
    X(CHILDREN, "children", NULL, SWITCH, 0, 0, "children created or deleted, too")        \
    X(RECURSIVE, "recursive", NULL, SWITCH, 0, 0, "the node and all below it")            \
    X(SNAPSHOT, "snapshot", NULL, SWITCH, 0, 0, "tell what stands there first")           \
    X(SINCE, "since", "ZXID", NUMBER, 1, INT64_MAX, "begin behind this one, and tell what was missed") \
    X(ONCE, "once", NULL, SWITCH, 0, 0, "end after the first event")                      \
    X(VALUE, "value", NULL, SWITCH, 0, 0, "print the new data, too")                      \
    X(EXEC, "exec", "CMD", TEXT, 0, 0, "run `sh -c CMD` for every event, one after the other") \
    X(SPREAD, "spread", NULL, SWITCH, 0, 0, "clients on all servers, not on the leader")  \
    X(OBSERVE, "observe", NULL, SWITCH, 0, 0, "print each leader as it changes")          \
    X(CANDIDATE, "value", "V", TEXT, 0, 0, "what others shall see of you")                \
    X(KEPT, "version", "N", NUMBER, 0, UINT32_MAX, "the version's number")                \
    X(NEWEST, "version", "N", NUMBER, 0, UINT32_MAX,                                      \
      "only if N is the newest version; 0: if there is none")                             \
    X(LEVELS, "depth", "N", NUMBER, 0, 1024, "so many levels below it (default: all)")    \
    X(DATA, "data", NULL, SWITCH, 0, 0, "print the data, too, as JSON")                   \
    X(CLIENT, "client", "HOST:PORT", TEXT, 0, 0, "where it will serve clients")           \
    X(ID, "id", "N", NUMBER, 1, 16, "its id (default: the lowest free one)")              \
    X(LEARNER, "learner", NULL, SWITCH, 0, 0, "it is to learn only, and never to vote") \
    X(READ, "read", NULL, SWITCH, 0, 0, "run it to read only, on any server and outside the log") \
    X(ANY, "any", NULL, SWITCH, 0, 0,                                                     \
      "what the server at hand knows, at once and without a majority: it may be old")     \
    X(SEED, "seed", "N", NUMBER, 0, UINT32_MAX, "of what the tests draw (default 1)")       \
    X(ONLY, "only", "NAME", TEXT, 0, 0, "the test of this name only")                     \
    X(CONTAINER, "container", NULL, SWITCH, 0, 0, "it goes with its last child")          \
    X(TTL, "ttl", "MS", NUMBER, 1, TTL_MS_MAX, "it goes when not changed or touched for so long") \
    X(SUBTREE, "recursive", NULL, SWITCH, 0, 0, "all below it, too")                      \
    X(QUOTA_NODES, "nodes", "N", NUMBER, 0, INT64_MAX, "at most so many nodes; 0: any number") \
    X(QUOTA_BYTES, "bytes", "B", NUMBER, 0, INT64_MAX, "at most so many bytes of data; 0: any") \
    X(UNTESTED, "untested", NULL, SWITCH, 0, 0, "store it though its own tests fail")       \
    X(KEEP, "keep", "N", NUMBER, 1, 400, "how many versions to keep from now on (at first 20)")
/* clang-format on */

enum flag {
#define X(id, name, value, kind, min, max, help) FLAG_##id,
    FLAGS(X)
#undef X
        FLAG_COUNT
};

#define FLAG_BIT(id) (UINT64_C(1) << FLAG_##id)
static_assert(FLAG_COUNT <= 64, "a set of flags is one uint64_t");
#define GLOBAL_FLAGS                                                                       \
    (FLAG_BIT(SERVERS) | FLAG_BIT(TIMEOUT) | FLAG_BIT(OUTPUT) | FLAG_BIT(HELP))

enum { OPTIONS_WORDS_MAX = 4 };

struct options {
    const char *command; /* for messages: "dev start" */
    const char *servers; /* never NULL */
    uint32_t timeout_ms;
    bool json;
    uint64_t given; /* bits of the flags that were given */
    const char *text[FLAG_COUNT];
    uint64_t number[FLAG_COUNT];
    const char *words[OPTIONS_WORDS_MAX];
    size_t words_count;
    char **rest; /* what follows "--", ended by NULL, for a command that takes it */
};

struct command {
    const char *name;      /* one word, or two: "dev start" */
    const char *arguments; /* "PATH [DATA|-]" */
    const char *summary;
    const char *details; /* "" or more paragraphs of help */
    uint64_t flags;      /* beside GLOBAL_FLAGS */
    unsigned words_min, words_max;
    bool takes_rest; /* words after "--" are another program's */
    int (*run)(const struct options *o);
};

struct command_table {
    const struct command *commands;
    size_t count;
};

/* Finds the command and reads its options. Returns -1 when *command is to be run, else the
 * process's exit status: help was printed (0), or a mistake was named on stderr (2). */
int options_parse(const struct command_table *table, char **argv, struct options *o,
                  const struct command **command);

bool options_given(const struct options *o, enum flag flag);
uint64_t options_number(const struct options *o, enum flag flag, uint64_t otherwise);
const char *options_text(const struct options *o, enum flag flag, const char *otherwise);

/* A decimal number without sign, all of `text`, between min and max. */
bool options_read_number(const char *text, uint64_t min, uint64_t max, uint64_t *number);

/* "PATH:TOKEN"; false when it is malformed. `path` borrows from the text. */
struct options_guard {
    struct bytes path; /* ptr NULL: none was given */
    uint64_t token;
};
bool options_guard(const struct options *o, struct options_guard *guard);

#endif
