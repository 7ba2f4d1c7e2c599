#include "core/server/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/hash.h"

enum { IDENTITY_BYTES_MAX = 8192, PATH_MAX_HERE = CONFIG_PATH_MAX + 16 };

static int code_of_errno(int error)
{
    if (error == EACCES || error == EPERM || error == EROFS) return ERR_NOT_PERMITTED;
    if (error == ENOSPC || error == EDQUOT) return ERR_DISK_FULL;
    return ERR_IO;
}

static int fail_errno(char *why, const char *path, const char *what)
{
    int error = errno;

    snprintf(why, CONFIG_WHY_MAX, "%s: cannot %s: %s", path, what, strerror(error));
    return code_of_errno(error);
}

static bool is_member(const struct identity *i, uint32_t id)
{
    return address_given(&i->config->members[id - 1]);
}

static bool is_other(const struct identity *i, uint32_t id)
{
    return id != i->config->id && is_member(i, id);
}

/* --- writing --- */

static int sync_directory(const char *path, char *why)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) return fail_errno(why, path, "open it");
    int code = fsync(fd) == 0 ? 0 : fail_errno(why, path, "sync it");
    close(fd);
    return code;
}

static int write_whole(const char *path, struct bytes content, char *why)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int code = 0;

    if (fd < 0) return fail_errno(why, path, "create it");
    ssize_t done = write(fd, content.ptr, content.len);
    if (done >= 0 && (size_t)done != content.len) errno = ENOSPC;
    if (done < 0 || (size_t)done != content.len) code = fail_errno(why, path, "write it");
    if (code == 0 && fsync(fd) != 0) code = fail_errno(why, path, "sync it");
    close(fd);
    return code;
}

static void put_text(struct buf *out, const char *text)
{
    buf_put_bytes_raw(out, bytes_str(text));
}

static void put_peers(const struct identity *i, struct buf *out)
{
    const char *comma = "";
    char one[32];

    for (uint32_t id = 1; id <= NODES_MAX; id++) {
        if (i->known[id - 1] == 0) continue;
        snprintf(one, sizeof one, "%s%u=%016llx", comma, (unsigned)id,
                 (unsigned long long)i->known[id - 1]);
        put_text(out, one);
        comma = ",";
    }
}

static const char *standing(const struct identity *i)
{
    if (i->removed) return "removed";
    if (i->is_new) return "new";
    if (i->recovering) return "recovering";
    return i->joined ? "yes" : "no";
}

static void put_identity(const struct identity *i, struct buf *out)
{
    struct buf members = { 0 };
    char part[200];

    snprintf(part, sizeof part,
             "tidelock %d\ncluster = %s\nid = %u\nmembers = ", IDENTITY_FORMAT,
             i->config->cluster, (unsigned)i->config->id);
    put_text(out, part);
    config_members_text(i->config, &members);
    buf_put_bytes_raw(out, buf_bytes(&members));
    buf_fini(&members);
    snprintf(part, sizeof part, "\nnumber = %u\nincarnation = %016llx\npeers = ",
             (unsigned)i->number, (unsigned long long)i->incarnation);
    put_text(out, part);
    put_peers(i, out);
    snprintf(part, sizeof part, "\njoined = %s\nfounding = %016llx\n", standing(i),
             (unsigned long long)i->founding);
    put_text(out, part);
}

static int identity_write(const struct identity *i, char *why)
{
    char path[PATH_MAX_HERE], tmp[PATH_MAX_HERE];
    struct buf text = { 0 };

    snprintf(path, sizeof path, "%s/identity", i->folder);
    snprintf(tmp, sizeof tmp, "%s/identity.tmp", i->folder);
    put_identity(i, &text);
    int code = write_whole(tmp, buf_bytes(&text), why);
    if (code == 0 && rename(tmp, path) != 0) code = fail_errno(why, path, "create it");
    if (code == 0) code = sync_directory(i->folder, why);
    buf_fini(&text);
    return code;
}

/* --- reading --- */

struct lines { /* of the file; they point into `text` */
    char text[IDENTITY_BYTES_MAX];
    char *cluster, *id, *members, *number, *incarnation, *peers, *joined, *founding;
};

/* The rest of the line after `prefix`, cut out of *at; NULL when the line is another. */
static char *line_after(char **at, const char *prefix)
{
    size_t len = strlen(prefix);
    char *end = strchr(*at, '\n');

    if (end == NULL || strncmp(*at, prefix, len) != 0) return NULL;
    char *value = *at + len;
    *end = '\0';
    *at = end + 1;
    return value;
}

/* A number as it was written, 16 hex digits; 0 when the text is none. */
static uint64_t hex_of(const char *text)
{
    char *end;

    if (strspn(text, "0123456789abcdef") != 16) return 0;
    uint64_t value = strtoull(text, &end, 16);
    return *end == '\0' || *end == ',' ? value : 0;
}

static bool peers_read(struct identity *i, const char *text)
{
    while (*text != '\0') {
        char *at;
        unsigned long id = strtoul(text, &at, 10);
        if (at == text || *at != '=' || id == 0 || id > NODES_MAX) return false;
        i->known[id - 1] = hex_of(at + 1);
        if (i->known[id - 1] == 0) return false;
        text = at + 1 + 16;
        if (*text == ',') text++;
    }
    return true;
}

static bool standing_read(struct identity *i, const char *text)
{
    i->removed = strcmp(text, "removed") == 0;
    i->is_new = strcmp(text, "new") == 0;
    i->recovering = strcmp(text, "recovering") == 0;
    i->joined = i->removed || i->is_new || i->recovering || strcmp(text, "yes") == 0;
    return i->joined || strcmp(text, "no") == 0;
}

static bool values_read(struct identity *i, const struct lines *l)
{
    char *end;

    if (l->cluster == NULL || l->id == NULL || l->members == NULL) return false;
    if (l->number == NULL || l->incarnation == NULL || l->peers == NULL) return false;
    if (l->joined == NULL || l->founding == NULL) return false;
    unsigned long number = strtoul(l->number, &end, 10);
    if (number == 0 || number > UINT32_MAX || *end != '\0') return false;
    i->number = (uint32_t)number;
    i->incarnation = hex_of(l->incarnation);
    i->founding = hex_of(l->founding);
    if (i->incarnation == 0 || !standing_read(i, l->joined)) return false;
    if (i->joined != (i->founding != 0)) return false;
    return peers_read(i, l->peers);
}

static int damaged(const char *path, char *why)
{
    snprintf(why, CONFIG_WHY_MAX,
             "%s is damaged: restore the file, or keep this server off, or let it come back "
             "as a new learner: --join HOST:PORT,... --rejoin",
             path);
    return ERR_DAMAGED;
}

static int identity_parse(struct identity *i, struct lines *l, const char *path, char *why)
{
    char *at = l->text, ours[16];
    const char *format = line_after(&at, "tidelock ");

    snprintf(ours, sizeof ours, "%d", IDENTITY_FORMAT);
    if (format != NULL && strcmp(format, ours) != 0) {
        snprintf(why, CONFIG_WHY_MAX, "%s: format %.20s is of another version of Tidelock",
                 path, format);
        return ERR_OTHER_VERSION;
    }
    l->cluster = line_after(&at, "cluster = ");
    l->id = line_after(&at, "id = ");
    l->members = line_after(&at, "members = ");
    l->number = line_after(&at, "number = ");
    l->incarnation = line_after(&at, "incarnation = ");
    l->peers = line_after(&at, "peers = ");
    l->joined = line_after(&at, "joined = ");
    l->founding = line_after(&at, "founding = ");
    return format != NULL && values_read(i, l) ? 0 : damaged(path, why);
}

/* 1 when there is one, 0 when there is none, else an error. */
static int text_read(struct lines *l, const char *path, char *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT) return 0;
    if (fd < 0) return fail_errno(why, path, "open it");
    ssize_t got = read(fd, l->text, sizeof l->text - 1);
    close(fd);
    if (got < 0) return fail_errno(why, path, "read it");
    l->text[got] = '\0';
    return 1;
}

/* --- comparing --- */

static int other(char *why, const char *folder, const char *what, const char *theirs,
                 const char *ours)
{
    snprintf(why, CONFIG_WHY_MAX,
             "%s belongs to %s %.64s, but this server is configured as %s "
             "%.64s",
             folder, what, theirs, what, ours);
    return ERR_CONFIG;
}

static int members_compare(const char *folder, struct config *c, const char *known,
                           char *why)
{
    struct buf members = { 0 };

    if (!c->members_given && config_members_adopt(c, known)) return 0;
    config_members_text(c, &members);
    bool same = bytes_equal(buf_bytes(&members), bytes_str(known));
    if (!same) {
        snprintf(why, CONFIG_WHY_MAX,
                 "%.100s: members are those of the first start, %.150s, but %.*s is "
                 "configured: leave them out, and see `tidelock member` to change them",
                 folder, known, (int)(members.len < 150 ? members.len : 150),
                 (const char *)members.ptr);
    }
    buf_fini(&members);
    return same ? 0 : ERR_CONFIG;
}

/* Who joined a cluster takes its name, its place and its members from there; and so does who
 * is told nothing. */
static int place_adopt(const struct lines *l, struct config *c)
{
    unsigned long id = strtoul(l->id, NULL, 10);

    if (c->id == 0 && id <= NODES_MAX) c->id = (uint32_t)id;
    if (!c->cluster_given) snprintf(c->cluster, sizeof c->cluster, "%s", l->cluster);
    return c->id != 0 && config_members_adopt(c, l->members) ? 0 : ERR_DAMAGED;
}

static int lines_compare(const struct identity *i, const struct lines *l, struct config *c,
                         char *why)
{
    bool founder = i->number == IDENTITY_NUMBER_FOUNDED;
    char id[16];

    if (!founder || c->id == 0) {
        int code = place_adopt(l, c);
        if (code != 0) return damaged(i->folder, why);
    }
    snprintf(id, sizeof id, "%u", (unsigned)c->id);
    if (strcmp(l->cluster, c->cluster) != 0) {
        return other(why, i->folder, "cluster", l->cluster, c->cluster);
    }
    if (strcmp(l->id, id) != 0) return other(why, i->folder, "id", l->id, id);
    return founder ? members_compare(i->folder, c, l->members, why) : 0;
}

/* --- the whole --- */

int identity_open(struct identity *i, const char *folder, struct config *c, char *why)
{
    char path[PATH_MAX_HERE];
    struct lines l;

    *i = (struct identity){ .config = c, .folder = folder };
    snprintf(path, sizeof path, "%s/identity", folder);
    int found = text_read(&l, path, why);
    if (found <= 0) return found;
    int code = identity_parse(i, &l, path, why);
    if (code == 0) code = lines_compare(i, &l, c, why);
    bool whole = !i->joined || i->number != IDENTITY_NUMBER_FOUNDED || identity_unknown(i) == 0;
    if (code == 0 && !whole) code = damaged(path, why);
    return code == 0 ? 1 : code;
}

uint64_t identity_draw(void)
{
    uint64_t drawn = 0;

    while (drawn == 0) CHECK(getrandom(&drawn, sizeof drawn, 0) == (ssize_t)sizeof drawn);
    return drawn;
}

int identity_found(struct identity *i, const char *folder, const struct config *c,
                   char *why)
{
    *i = (struct identity){ .config = c,
                            .folder = folder,
                            .number = IDENTITY_NUMBER_FOUNDED,
                            .incarnation = identity_draw(),
                            .joined = c->members_count == 1,
                            .is_new = c->members_count == 1 };
    if (i->joined) i->founding = identity_founding(i);
    return identity_write(i, why);
}

int identity_admit(struct identity *i, const char *folder, const struct config *c,
                   const struct identity_place *place, char *why)
{
    *i = (struct identity){ .config = c,
                            .folder = folder,
                            .number = place->number,
                            .incarnation = place->incarnation,
                            .founding = place->founding,
                            .joined = true,
                            .is_new = true };
    memcpy(i->known, place->known, sizeof i->known);
    i->known[c->id - 1] = 0;
    return identity_write(i, why);
}

/* --- the others --- */

nodes_set identity_unknown(const struct identity *i)
{
    nodes_set unknown = 0;

    for (uint32_t id = 1; id <= NODES_MAX; id++) {
        if (is_other(i, id) && i->known[id - 1] == 0) unknown |= node_bit(id);
    }
    return unknown;
}

/* `next` is what shall be so. */
static int replace(struct identity *i, const struct identity *next, char *why)
{
    int code = identity_write(next, why);

    if (code == 0) *i = *next;
    return code;
}

int identity_meet(struct identity *i, uint32_t node, uint64_t incarnation, char *why)
{
    struct identity next = *i;

    CHECK(is_other(i, node));
    CHECK(incarnation != 0);
    if (i->known[node - 1] == incarnation) return 0;
    if (i->known[node - 1] != 0) return ERR_OTHER_DATA;
    next.known[node - 1] = incarnation;
    return replace(i, &next, why);
}

uint64_t identity_founding(const struct identity *i)
{
    struct buf all = { 0 };

    if (identity_unknown(i) != 0) return 0;
    buf_put_bytes(&all, bytes_str(i->config->cluster));
    for (uint32_t id = 1; id <= NODES_MAX; id++) {
        if (!is_member(i, id)) continue;
        buf_put_u32(&all, id);
        buf_put_u64(&all, id == i->config->id ? i->incarnation : i->known[id - 1]);
    }
    uint64_t hash = hash_bytes(buf_bytes(&all), 0);
    buf_fini(&all);
    return hash != 0 ? hash : 1; /* 0 says that it is not known */
}

int identity_join(struct identity *i, char *why)
{
    struct identity next = *i;

    CHECK(identity_unknown(i) == 0);
    next.joined = true;
    next.founding = identity_founding(i);
    return replace(i, &next, why);
}

int identity_settle(struct identity *i, char *why)
{
    struct identity next = *i;

    next.is_new = false;
    return i->is_new ? replace(i, &next, why) : 0;
}

int identity_recovering(struct identity *i, char *why)
{
    struct identity next = *i;

    next.recovering = true;
    next.is_new = false;
    return replace(i, &next, why);
}

int identity_refound(struct identity *i, uint32_t number, char *why)
{
    struct identity next = *i;

    CHECK(i->recovering && number != IDENTITY_NUMBER_FOUNDED);
    next.recovering = false;
    next.number = number;
    next.founding = identity_draw();
    memset(next.known, 0, sizeof next.known);
    return replace(i, &next, why);
}

int identity_remove(struct identity *i, char *why)
{
    struct identity next = *i;

    CHECK(i->joined);
    next.removed = true;
    return replace(i, &next, why);
}

void identity_roster(const struct identity *i, struct roster *out)
{
    bool founder = i->number == IDENTITY_NUMBER_FOUNDED;

    *out = (struct roster){ .number = i->number };
    for (uint32_t id = 1; id <= NODES_MAX; id++) {
        if (!is_member(i, id)) continue;
        struct member *m = &out->at[out->count++];
        *m = (struct member){ .id = id, .kind = founder ? MEMBER_VOTER : MEMBER_LEARNER };
        m->incarnation = id == i->config->id ? i->incarnation : i->known[id - 1];
        if (!config_is_alone(i->config)) address_format(&i->config->members[id - 1], m->peer);
    }
}
