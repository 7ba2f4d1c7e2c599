#include "core/server/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/errors.h"

enum { IDENTITY_BYTES_MAX = 8192 };

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

static void path_of(const struct datadir *d, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", d->path, name);
}

/* --- the directory and its lock --- */

static int directory_make(struct datadir *d, const struct config *c, char *why)
{
    if (c->data[0] == '\0') {
        const char *tmp = getenv("TMPDIR");
        snprintf(d->path, sizeof d->path, "%s/tidelock-dev-XXXXXX", tmp ? tmp : "/tmp");
        if (mkdtemp(d->path) == NULL) return fail_errno(why, d->path, "create it");
        d->temporary = true;
    } else {
        snprintf(d->path, sizeof d->path, "%s", c->data);
        if (mkdir(d->path, 0700) != 0 && errno != EEXIST) {
            return fail_errno(why, d->path, "create it");
        }
    }
    path_of(d, "log", d->log, sizeof d->log);
    path_of(d, "state", d->state, sizeof d->state);
    return 0;
}

static int lock_refused(const struct datadir *d, const char *path, char *why)
{
    char pid[32] = "";

    if (errno != EWOULDBLOCK) return fail_errno(why, path, "lock it");
    ssize_t got = pread(d->lock, pid, sizeof pid - 1, 0);
    pid[got > 0 ? got : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    snprintf(why, CONFIG_WHY_MAX, "%s is in use by another tidelockd, pid %s", d->path,
             pid[0] != '\0' ? pid : "unknown");
    return ERR_IN_USE;
}

static int lock_take(struct datadir *d, char *why)
{
    char path[CONFIG_PATH_MAX + 16];

    path_of(d, "lock", path, sizeof path);
    d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock < 0) return fail_errno(why, path, "open it");
    if (flock(d->lock, LOCK_EX | LOCK_NB) != 0) {
        int code = lock_refused(d, path, why);
        close(d->lock);
        return code;
    }
    if (ftruncate(d->lock, 0) != 0 || dprintf(d->lock, "%ld\n", (long)getpid()) < 0) {
        int code = fail_errno(why, path, "write it");
        close(d->lock);
        return code;
    }
    return 0;
}

/* --- the identity --- */

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

/* Whole or not at all: a crash leaves either no identity or a complete one. */
static int identity_write(const struct datadir *d, const struct config *c, char *why)
{
    char path[CONFIG_PATH_MAX + 16], tmp[CONFIG_PATH_MAX + 16], head[200];
    struct buf text = { 0 }, members = { 0 };

    path_of(d, "identity", path, sizeof path);
    path_of(d, "identity.tmp", tmp, sizeof tmp);
    config_members_text(c, &members);
    snprintf(head, sizeof head, "tidelock 1\ncluster = %s\nid = %u\nmembers = ", c->cluster,
             (unsigned)c->id);
    buf_put_bytes_raw(&text, bytes_str(head));
    buf_put_bytes_raw(&text, buf_bytes(&members));
    buf_put_u8(&text, '\n');
    int code = write_whole(tmp, buf_bytes(&text), why);
    if (code == 0 && rename(tmp, path) != 0) code = fail_errno(why, path, "create it");
    if (code == 0) code = sync_directory(d->path, why);
    buf_fini(&text);
    buf_fini(&members);
    return code;
}

struct identity {
    char text[IDENTITY_BYTES_MAX];
    const char *cluster, *id, *members;
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

static int identity_parse(struct identity *i, const char *path, char *why)
{
    char *at = i->text;
    const char *version = line_after(&at, "tidelock ");

    if (version != NULL && strcmp(version, "1") != 0) {
        snprintf(why, CONFIG_WHY_MAX, "%s: format %.20s is of another version of Tidelock",
                 path, version);
        return ERR_OTHER_VERSION;
    }
    i->cluster = line_after(&at, "cluster = ");
    i->id = line_after(&at, "id = ");
    i->members = line_after(&at, "members = ");
    if (version != NULL && i->cluster != NULL && i->id != NULL && i->members != NULL)
        return 0;
    snprintf(why, CONFIG_WHY_MAX,
             "%s is damaged: restore it from a backup, or start this server with an empty "
             "directory as a new member",
             path);
    return ERR_DAMAGED;
}

/* 1 when there is one, 0 when there is none, else an error. */
static int identity_read(struct identity *i, const char *path, char *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT) return 0;
    if (fd < 0) return fail_errno(why, path, "open it");
    ssize_t got = read(fd, i->text, sizeof i->text - 1);
    close(fd);
    if (got < 0) return fail_errno(why, path, "read it");
    i->text[got] = '\0';
    int code = identity_parse(i, path, why);
    return code == 0 ? 1 : code;
}

static int other(char *why, const struct datadir *d, const char *what, const char *theirs,
                 const char *ours)
{
    snprintf(why, CONFIG_WHY_MAX,
             "%s belongs to %s %.64s, but this server is configured as %s "
             "%.64s",
             d->path, what, theirs, what, ours);
    return ERR_CONFIG;
}

static int members_compare(const struct datadir *d, struct config *c, const char *known,
                           char *why)
{
    struct buf members = { 0 };

    if (!c->members_given && config_members_adopt(c, known)) return 0;
    config_members_text(c, &members);
    bool same = bytes_equal(buf_bytes(&members), bytes_str(known));
    if (!same) {
        snprintf(why, CONFIG_WHY_MAX,
                 "%.100s: membership is fixed at the first start in this version; it is "
                 "%.150s, but %.*s is configured",
                 d->path, known, (int)(members.len < 150 ? members.len : 150),
                 (const char *)members.ptr);
    }
    buf_fini(&members);
    return same ? 0 : ERR_CONFIG;
}

static int identity_compare(const struct datadir *d, struct config *c,
                            const struct identity *i, char *why)
{
    char id[16];

    snprintf(id, sizeof id, "%u", (unsigned)c->id);
    if (strcmp(i->cluster, c->cluster) != 0) {
        return other(why, d, "cluster", i->cluster, c->cluster);
    }
    if (strcmp(i->id, id) != 0) return other(why, d, "id", i->id, id);
    return members_compare(d, c, i->members, why);
}

/* Log or state without an identity: somebody took it away, or mixed two directories. */
static int identity_missing(const struct datadir *d, const struct config *c, char *why)
{
    struct stat s;

    if (stat(d->log, &s) != 0 && stat(d->state, &s) != 0) return identity_write(d, c, why);
    snprintf(why, CONFIG_WHY_MAX,
             "%s holds a log or a state but no identity file: it is not "
             "complete, restore the file",
             d->path);
    return ERR_DAMAGED;
}

static int identity_settle(struct datadir *d, struct config *c, char *why)
{
    char path[CONFIG_PATH_MAX + 16];
    struct identity i;

    path_of(d, "identity", path, sizeof path);
    int found = identity_read(&i, path, why);
    if (found < 0) return found;
    return found == 0 ? identity_missing(d, c, why) : identity_compare(d, c, &i, why);
}

/* --- the whole --- */

int datadir_open(struct datadir *d, struct config *c, char why[CONFIG_WHY_MAX])
{
    *d = (struct datadir){ .lock = -1 };
    int code = directory_make(d, c, why);
    if (code != 0) return code;
    code = lock_take(d, why);
    if (code != 0) return code;
    code = identity_settle(d, c, why);
    if (code != 0) datadir_close(d);
    return code;
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
    (void)s;
    (void)type;
    (void)ftw;
    return remove(path);
}

void datadir_close(struct datadir *d)
{
    if (d->temporary) nftw(d->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    close(d->lock);
}
