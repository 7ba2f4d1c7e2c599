#include "core/server/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/errors.h"
#include "core/base/hash.h"

enum { LINE_MAX_BYTES = 8192 };

static const struct address alone = { "alone", 1 };

/* --- values --- */

static bool number_parse(const char *value, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;

    if (*value < '0' || *value > '9') return false;
    errno = 0;
    unsigned long long v = strtoull(value, &end, 10);
    if (errno != 0 || *end != '\0' || v < min || v > max) return false;
    *out = v;
    return true;
}

static bool set_u32(const char *value, uint64_t min, uint64_t max, uint32_t *out)
{
    uint64_t v;

    if (!number_parse(value, min, max, &v)) return false;
    *out = (uint32_t)v;
    return true;
}

static bool set_text(const char *value, char *out, size_t size)
{
    if (*value == '\0' || strlen(value) >= size) return false;
    strcpy(out, value);
    return true;
}

static bool set_id(struct config *c, const char *value)
{
    return set_u32(value, 1, NODES_MAX, &c->id);
}

static bool set_data(struct config *c, const char *value)
{
    return set_text(value, c->data, sizeof c->data);
}

static bool set_cluster(struct config *c, const char *value)
{
    for (const char *at = value; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~') return false;
    }
    c->cluster_given = true;
    return set_text(value, c->cluster, sizeof c->cluster);
}

static bool set_client(struct config *c, const char *value)
{
    return address_parse(value, &c->client) == 0;
}

static bool set_advertise(struct config *c, const char *value)
{
    return address_parse(value, &c->advertise) == 0 && c->advertise.port != 0;
}

static bool set_peer(struct config *c, const char *value)
{
    return address_parse(value, &c->peer) == 0 && c->peer.port != 0;
}

/* One "id=host:port"; an id or an address named twice is a slip that would cost a quorum.
 */
static bool member_set(struct config *c, char *entry)
{
    struct address address;
    char *equals = strchr(entry, '=');
    uint32_t id;

    if (equals == NULL) return false;
    *equals = '\0';
    if (!set_u32(entry, 1, NODES_MAX, &id) || address_given(&c->members[id - 1]))
        return false;
    if (address_parse(equals + 1, &address) != 0 || address.port == 0) return false;
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        if (address_equal(&c->members[i], &address)) return false;
    }
    c->members[id - 1] = address;
    c->members_count++;
    return true;
}

static bool set_members(struct config *c, const char *value)
{
    char text[LINE_MAX_BYTES];
    size_t len = 0;

    for (const char *at = value; *at != '\0'; at++) { /* blanks after commas are welcome */
        if (*at == ' ' || *at == '\t') continue;
        if (len + 1 >= sizeof text) return false;
        text[len++] = *at;
    }
    text[len] = '\0';
    memset(c->members, 0, sizeof c->members);
    c->members_count = 0;
    c->members_given = true;
    for (char *entry = text, *comma; entry != NULL; entry = comma) {
        comma = strchr(entry, ',');
        if (comma != NULL) *comma++ = '\0';
        if (!member_set(c, entry)) return false;
    }
    return true;
}

static bool set_bool(const char *value, bool *out)
{
    *out = strcmp(value, "true") == 0;
    return *out || strcmp(value, "false") == 0;
}

static bool set_dev(struct config *c, const char *value)
{
    return set_bool(value, &c->dev);
}

static bool set_join(struct config *c, const char *value)
{
    char text[CONFIG_PATH_MAX];
    struct address address;

    if (!set_text(value, text, sizeof text)) return false;
    for (char *at = text, *comma; at != NULL; at = comma) {
        comma = strchr(at, ',');
        if (comma != NULL) *comma++ = '\0';
        if (address_parse(at, &address) != 0 || address.port == 0) return false;
    }
    return set_text(value, c->join, sizeof c->join);
}

static bool set_learner(struct config *c, const char *value)
{
    return set_bool(value, &c->learner);
}

static bool set_rejoin(struct config *c, const char *value)
{
    return set_bool(value, &c->rejoin);
}

static bool set_tree_nodes_max(struct config *c, const char *value)
{
    return number_parse(value, 0, UINT64_C(1) << 40, &c->tree_nodes_max);
}

static bool set_tree_bytes_max(struct config *c, const char *value)
{
    return number_parse(value, 0, UINT64_C(1) << 50, &c->tree_bytes_max);
}

static bool set_log_segment_bytes(struct config *c, const char *value)
{
    return number_parse(value, 64u << 10, UINT64_C(1) << 32, &c->log_segment_bytes);
}

static bool set_log_keep_bytes(struct config *c, const char *value)
{
    return number_parse(value, 64u << 10, UINT64_C(1) << 40, &c->log_keep_bytes);
}

static bool set_cache_bytes(struct config *c, const char *value)
{
    return number_parse(value, 1u << 20, UINT64_C(1) << 40, &c->cache_bytes);
}

static bool set_heartbeat_ms(struct config *c, const char *value)
{
    return set_u32(value, 10, 10000, &c->heartbeat_ms);
}

static bool set_election_min_ms(struct config *c, const char *value)
{
    return set_u32(value, 30, 60000, &c->election_min_ms);
}

static bool set_election_max_ms(struct config *c, const char *value)
{
    return set_u32(value, 30, 60000, &c->election_max_ms);
}

static bool set_lease_ms(struct config *c, const char *value)
{
    return set_u32(value, 0, LEASE_MS_MAX, &c->lease_ms);
}

static bool set_log_level(struct config *c, const char *value)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };

    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(value, names[i]) != 0) continue;
        c->log_level = (enum log_level)i;
        return true;
    }
    return false;
}

/* --- the table of keys --- */

static const struct key {
    const char *name; /* of a switch, see is_switch(), it is enough as a flag */
    bool (*set)(struct config *c, const char *value);
    const char *expected;
    const char *help;
} keys[] = {
    { "dev", set_dev, "true or false",
      "one server, nothing to configure; as a flag it takes no value" },
    { "id", set_id, "a number from 1 to 16", "which member this server is" },
    { "data", set_data, "a directory", "where log and state are kept" },
    { "cluster", set_cluster, "a name of at most 64 printable characters",
      "the cluster's name [tidelock]" },
    { "members", set_members, "\"1=host:port,2=host:port,...\", each id and address once",
      "every server's peer address; without it: one server" },
    { "client", set_client, "host:port or [v6]:port",
      "listen for clients [127.0.0.1:7400]" },
    { "advertise", set_advertise, "host:port or [v6]:port",
      "the address that clients are told [client's]" },
    { "peer", set_peer, "host:port or [v6]:port",
      "listen for servers [as in members]; with join, also where they find this one" },
    { "join", set_join, "\"host:port,...\", where servers of a cluster serve clients",
      "first start: become a member of that cluster; later it counts no more" },
    { "learner", set_learner, "true or false", "with join: never to vote; takes no value" },
    { "rejoin", set_rejoin, "true or false",
      "with join: set aside what is in the data directory; takes no value" },
    { "tree-nodes-max", set_tree_nodes_max, "a number",
      "nodes of the whole tree, while this server leads; 0: any number [50000000]" },
    { "tree-bytes-max", set_tree_bytes_max, "a number",
      "bytes of all nodes' data, while this server leads; 0: any number [17179869184]" },
    { "log-segment-bytes", set_log_segment_bytes, "a number from 65536 to 4294967296",
      "size of one log file [67108864]" },
    { "log-keep-bytes", set_log_keep_bytes, "a number from 65536 on",
      "log kept for peers and watches that come back [134217728]" },
    { "cache-bytes", set_cache_bytes, "a number from 1048576 on",
      "memory for nodes at hand [67108864]" },
    { "heartbeat-ms", set_heartbeat_ms, "a number from 10 to 10000", "[50]" },
    { "election-min-ms", set_election_min_ms, "a number from 30 to 60000", "[150]" },
    { "election-max-ms", set_election_max_ms, "a number from 30 to 60000", "[300]" },
    { "lease-ms", set_lease_ms, "a number from 0 to 100",
      "a leader may answer reads alone for so long, trusting clocks; 0: never [0]" },
    { "log-level", set_log_level, "error, warn, info or debug", "[info]" },
};

enum { KEYS_COUNT = sizeof keys / sizeof keys[0] };

void config_print_keys(struct buf *out)
{
    char line[200];

    for (size_t i = 0; i < KEYS_COUNT; i++) {
        snprintf(line, sizeof line, "  --%-18s %s\n", keys[i].name, keys[i].help);
        buf_put_bytes_raw(out, bytes_str(line));
    }
}

/* Where a value stands, for the text of a refusal; `seen` has a bit for each key that this
 * source gave already. */
struct source {
    char *why;
    const char *file; /* NULL: a flag */
    unsigned line;
    uint32_t seen;
};

static int refuse(const struct source *s, const char *key, const char *text)
{
    if (s->file != NULL) {
        snprintf(s->why, CONFIG_WHY_MAX, "%s:%u: %s %s", s->file, s->line, key, text);
    } else {
        snprintf(s->why, CONFIG_WHY_MAX, "--%s %s", key, text);
    }
    return ERR_CONFIG;
}

static int key_set(struct config *c, struct source *s, const char *name, const char *value)
{
    char text[160];

    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (strcmp(name, keys[i].name) != 0) continue;
        if (s->seen & (UINT32_C(1) << i)) return refuse(s, name, "is given twice");
        s->seen |= UINT32_C(1) << i;
        if (keys[i].set(c, value)) return 0;
        snprintf(text, sizeof text, "must be %s", keys[i].expected);
        return refuse(s, name, text);
    }
    return refuse(s, name, s->file != NULL ? "is not a known key" : "is not a known flag");
}

/* --- the file --- */

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
        len--;
    text[len] = '\0';
    return text;
}

static int line_read(struct config *c, struct source *s, char *line)
{
    char *key = trim(line), *equals;

    if (*key == '\0' || *key == '#') return 0;
    equals = strchr(key, '=');
    if (equals == NULL) return refuse(s, key, "is not of the form key = value");
    *equals = '\0';
    return key_set(c, s, trim(key), trim(equals + 1));
}

static int file_read(struct config *c, const char *path, char *why)
{
    struct source s = { .why = why, .file = path };
    char line[LINE_MAX_BYTES];
    FILE *file = fopen(path, "r");
    int code = 0;

    if (file == NULL) {
        snprintf(why, CONFIG_WHY_MAX, "--config %s: %s", path, strerror(errno));
        return ERR_IO;
    }
    while (code == 0 && fgets(line, sizeof line, file) != NULL) {
        s.line++;
        if (strlen(line) == sizeof line - 1) {
            code = refuse(&s, "this line", "is too long");
        } else {
            code = line_read(c, &s, line);
        }
    }
    if (code == 0 && ferror(file)) {
        snprintf(why, CONFIG_WHY_MAX, "--config %s: %s", path, strerror(errno));
        code = ERR_IO;
    }
    fclose(file);
    return code;
}

/* --- the flags --- */

struct flag {
    char name[64];
    const char *value;
};

static bool is_switch(const char *name)
{
    return strcmp(name, "dev") == 0 || strcmp(name, "learner") == 0 ||
           strcmp(name, "rejoin") == 0;
}

/* Takes one flag off argv: "--name value", "--name=value", or "--dev". */
static int flag_next(int argc, char **argv, int *at, struct flag *f, const struct source *s)
{
    const char *arg = argv[(*at)++];

    if (strncmp(arg, "--", 2) != 0 || arg[2] == '\0') {
        snprintf(s->why, CONFIG_WHY_MAX, "\"%.100s\" is not a flag; see --help", arg);
        return ERR_CONFIG;
    }
    const char *equals = strchr(arg, '=');
    size_t len = equals != NULL ? (size_t)(equals - arg) - 2 : strlen(arg) - 2;
    snprintf(f->name, sizeof f->name, "%.*s", (int)(len < 60 ? len : 60), arg + 2);
    if (equals != NULL) {
        f->value = equals + 1;
    } else if (is_switch(f->name)) {
        f->value = "true";
    } else if (*at < argc) {
        f->value = argv[(*at)++];
    } else {
        return refuse(s, f->name, "needs a value");
    }
    return 0;
}

static int flags_file(int argc, char **argv, const char **file, char *why)
{
    const struct source s = { .why = why };
    struct flag f;

    for (int at = 1; at < argc;) {
        int code = flag_next(argc, argv, &at, &f, &s);
        if (code != 0) return code;
        if (strcmp(f.name, "config") != 0) continue;
        if (*file != NULL) return refuse(&s, "config", "is given twice");
        *file = f.value;
    }
    return 0;
}

static int flags_read(struct config *c, int argc, char **argv, char *why)
{
    struct source s = { .why = why };
    struct flag f;

    for (int at = 1; at < argc;) {
        int code = flag_next(argc, argv, &at, &f, &s);
        if (code == 0 && strcmp(f.name, "config") != 0)
            code = key_set(c, &s, f.name, f.value);
        if (code != 0) return code;
    }
    return 0;
}

/* --- the whole --- */

static int fail(char *why, const char *text)
{
    snprintf(why, CONFIG_WHY_MAX, "%s", text);
    return ERR_CONFIG;
}

static void defaults(struct config *c)
{
    *c = (struct config){
        .cluster = "tidelock",
        .tree_nodes_max = 50000000,
        .tree_bytes_max = UINT64_C(16) << 30,
        .log_segment_bytes = 64u << 20,
        .log_keep_bytes = 128u << 20,
        .cache_bytes = 64u << 20,
        .heartbeat_ms = HEARTBEAT_MS,
        .election_min_ms = ELECTION_MIN_MS,
        .election_max_ms = ELECTION_MAX_MS,
        .log_level = LOG_INFO,
        .client = { "127.0.0.1", 7400 },
    };
}

static void dev_defaults(struct config *c)
{
    if (c->id == 0) c->id = 1;
    if (strcmp(c->cluster, "tidelock") == 0) strcpy(c->cluster, "dev");
}

static int members_complete(struct config *c, char *why)
{
    if (!c->members_given) {
        c->members[c->id - 1] = address_given(&c->peer) ? c->peer : alone;
        c->members_count = 1;
    }
    if (!address_given(&c->members[c->id - 1])) {
        snprintf(why, CONFIG_WHY_MAX, "members does not name this server's id %u",
                 (unsigned)c->id);
        return ERR_CONFIG;
    }
    return 0;
}

static bool is_everywhere(const struct address *a)
{
    return strcmp(a->host, "0.0.0.0") == 0 || strcmp(a->host, "::") == 0;
}

/* Who was a member keeps the address that it had as one. The cluster says what its id and
 * the members are. */
static int join_complete(struct config *c, char *why)
{
    if (c->dev) return fail(why, "join is not for --dev");
    if (!address_given(&c->peer) && c->id != 0) c->peer = c->members[c->id - 1];
    if (!address_given(&c->peer)) {
        return fail(why, "peer is missing: join needs the address where the other servers "
                         "find this one (--peer HOST:PORT)");
    }
    if (is_everywhere(&c->peer)) {
        return fail(why, "peer must be an address that the other servers can dial");
    }
    c->id = c->members_count = 0;
    c->members_given = false;
    memset(c->members, 0, sizeof c->members);
    return 0;
}

static int place_complete(struct config *c, char *why)
{
    if (c->join[0] != '\0') return join_complete(c, why);
    if (c->learner) return fail(why, "learner goes with join only");
    if (c->rejoin) return fail(why, "rejoin goes with join only");
    if (c->id == 0) return fail(why, "id is missing: say which member this is (--id 1)");
    return members_complete(c, why);
}

static int complete(struct config *c, char *why)
{
    if (c->dev) dev_defaults(c);
    int code = place_complete(c, why);
    if (code != 0) return code;
    if (c->data[0] == '\0' && !c->dev) {
        return fail(why, "data is missing: say where to keep log and state (--data DIR)");
    }
    if (c->dev && c->members_count > 1) return fail(why, "dev is for one server only");
    if (c->client.port == 0 && !c->dev) {
        return fail(why, "client must name a port; 0 is for --dev only");
    }
    if (c->election_max_ms < c->election_min_ms ||
        c->election_min_ms < 3 * c->heartbeat_ms) {
        return fail(why,
                    "3 * heartbeat-ms <= election-min-ms <= election-max-ms must hold");
    }
    if (c->lease_ms >= c->election_min_ms) {
        return fail(why, "lease-ms must be below election-min-ms");
    }
    return 0;
}

int config_read(struct config *c, int argc, char **argv, char why[CONFIG_WHY_MAX])
{
    const char *file = NULL;

    defaults(c);
    int code = flags_file(argc, argv, &file, why);
    if (code == 0 && file != NULL) code = file_read(c, file, why);
    if (code == 0) code = flags_read(c, argc, argv, why);
    if (code == 0) code = complete(c, why);
    return code;
}

bool config_members_adopt(struct config *c, const char *text)
{
    return set_members(c, text) && address_given(&c->members[c->id - 1]);
}

bool config_is_alone(const struct config *c)
{
    return c->members_count == 1 && address_equal(&c->members[c->id - 1], &alone);
}

const struct address *config_peer_listen(const struct config *c)
{
    return address_given(&c->peer) ? &c->peer : &c->members[c->id - 1];
}

void config_members_text(const struct config *c, struct buf *out)
{
    char address[ADDRESS_TEXT_MAX], entry[ADDRESS_TEXT_MAX + 8];
    const char *comma = "";

    buf_clear(out);
    for (uint32_t id = 1; id <= NODES_MAX; id++) {
        if (!address_given(&c->members[id - 1])) continue;
        address_format(&c->members[id - 1], address);
        snprintf(entry, sizeof entry, "%s%u=%s", comma, (unsigned)id, address);
        buf_put_bytes_raw(out, bytes_str(entry));
        comma = ",";
    }
}

uint64_t config_cluster_hash(const struct config *c)
{
    struct buf members = { 0 };

    config_members_text(c, &members);
    uint64_t hash = hash_bytes(buf_bytes(&members), hash_bytes(bytes_str(c->cluster), 0));
    buf_fini(&members);
    return hash;
}
