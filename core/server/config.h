/* config.h -- what the operator says: flags and a file of `key = value` lines.
 *
 * The keys of the file are the flags without their dashes; flags win. Whatever is unknown,
 * malformed or missing is refused with one line that names the flag, or file:line, and says
 * what is expected: a server that guesses its configuration is found out too late.
 *
 *     # three servers on one machine, the first of them
 *     id      = 1
 *     data    = /var/lib/tidelock
 *     client  = 127.0.0.1:7400
 *     members = 1=127.0.0.1:7401, 2=127.0.0.1:7411, 3=127.0.0.1:7421 */
#ifndef CORE_SERVER_CONFIG_H
#define CORE_SERVER_CONFIG_H

#include "core/base/bytes.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/server/address.h"

enum { CONFIG_WHY_MAX = 1024, CONFIG_PATH_MAX = 512, CLUSTER_NAME_MAX = 64 };

struct config {
    bool dev; /* one server, data in a fresh temporary directory unless given */
    uint32_t id;
    char data[CONFIG_PATH_MAX];
    char cluster[CLUSTER_NAME_MAX + 1];
    bool cluster_given;
    struct address client;    /* listen here for clients */
    struct address advertise; /* what clients are told; `client` unless given */
    struct address peer;      /* listen here for servers; our members' entry unless given */
    struct address members[NODES_MAX]; /* by id - 1; not given: no such member */
    uint32_t members_count;
    bool members_given;
    char join[CONFIG_PATH_MAX]; /* client addresses of a cluster to join; or empty */
    bool learner;               /* with join: for good, never a voter */
    bool rejoin;                /* with join: what the directory holds is set aside first */
    uint64_t tree_nodes_max, tree_bytes_max; /* of the whole tree; 0 = without a limit */
    uint64_t log_segment_bytes, log_keep_bytes, cache_bytes;
    uint32_t heartbeat_ms, election_min_ms, election_max_ms;
    uint32_t lease_ms; /* 0 = every strong read asks a quorum */
    enum log_level log_level;
};

/* Reads flags, the file that --config names, and fills in the defaults. ERR_CONFIG or
 * ERR_IO, with one line in `why`. Creates nothing. */
int config_read(struct config *c, int argc, char **argv, char why[CONFIG_WHY_MAX]);

/* Takes the members that an identity file names; false when the text names none. */
bool config_members_adopt(struct config *c, const char *text);

/* Where to listen for servers: `peer`, or our own entry of members. */
const struct address *config_peer_listen(const struct config *c);
/* One server that was given no address for others: it stays alone, and its entry of members
 * is a name that is no host. */
bool config_is_alone(const struct config *c);

/* "1=host:port,2=host:port", in the order of ids: what identity and peers compare. */
void config_members_text(const struct config *c, struct buf *out);

/* Of cluster name and members; keys the log and is compared between servers. */
uint64_t config_cluster_hash(const struct config *c);

/* One line a key, for --help. */
void config_print_keys(struct buf *out);

#endif
