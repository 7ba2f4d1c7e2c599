#include "core/server/datadir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/errors.h"

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

/* Log or state without an identity: somebody took it away, or mixed two directories. */
static int identity_missing(struct datadir *d, const struct config *c, char *why)
{
    struct stat s;

    if (stat(d->log, &s) != 0 && stat(d->state, &s) != 0) {
        return identity_found(&d->identity, d->path, c, why);
    }
    snprintf(why, CONFIG_WHY_MAX,
             "%s holds a log or a state but no identity file: it is not "
             "complete, restore the file",
             d->path);
    return ERR_DAMAGED;
}

static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry = NULL;

    if (dir == NULL) return errno == ENOENT;
    while ((entry = readdir(dir)) != NULL && entry->d_name[0] == '.') {
    }
    closedir(dir);
    return entry == NULL;
}

/* A server that has joined had a log by then: without it, it has lost its memory. Nobody
 * counts on the votes of a server alone. */
static int log_expect(const struct datadir *d, const struct config *c, char *why)
{
    if (!d->identity.joined || c->members_count == 1 || !is_empty(d->log)) return 0;
    snprintf(why, CONFIG_WHY_MAX,
             "%s is gone or empty, and this server must not vote from lost memory: put it "
             "back, or keep this server off; the others go on without it",
             d->log);
    return ERR_DAMAGED;
}

static int identity_settle(struct datadir *d, struct config *c, char *why)
{
    int found = identity_open(&d->identity, d->path, c, why);

    if (found < 0) return found;
    return found == 0 ? identity_missing(d, c, why) : log_expect(d, c, why);
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
