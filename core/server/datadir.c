#include "core/server/datadir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/errors.h"
#include "core/base/log.h"
#include "core/server/join.h"

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
    /* Who holds it is told to those who come later; on a full disk they do without. */
    if (ftruncate(d->lock, 0) == 0) (void)dprintf(d->lock, "%ld\n", (long)getpid());
    return 0;
}

/* --- the identity --- */

/* Appended to what is said of a directory that must not vote: the way back. */
#define COME_BACK                                                                          \
    "let it come back as a new learner, with --join HOST:PORT,... --rejoin (a client "     \
    "address of another server): that deletes nothing"

static bool has_memory(const struct datadir *d)
{
    struct stat s;

    return stat(d->log, &s) == 0 || stat(d->state, &s) == 0;
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
    if (!d->identity.joined || d->identity.is_new) return 0;
    if (config_is_alone(c) || !is_empty(d->log)) return 0;
    snprintf(why, CONFIG_WHY_MAX,
             "%s is gone or empty, and this server must not vote from lost memory: put it "
             "back, or " COME_BACK,
             d->log);
    return ERR_DAMAGED;
}

static int member_expect(const struct datadir *d, char *why)
{
    if (d->identity.recovering) {
        snprintf(why, CONFIG_WHY_MAX,
                 "a recovery of %s has begun and not ended: do it again (tidelockd recover)",
                 d->path);
        return ERR_DAMAGED;
    }
    if (!d->identity.removed) return 0;
    snprintf(why, CONFIG_WHY_MAX,
             "this server was removed from the cluster, or came back with another directory "
             "than %s, which takes part never again: empty it, or " COME_BACK,
             d->path);
    return ERR_NO_MEMBER;
}

/* --- joining a cluster that is there --- */

enum { ASIDE_TRIES_MAX = 100 };

static bool is_ours(const char *name)
{
    return strcmp(name, "identity") == 0 || strcmp(name, "log") == 0 ||
           strncmp(name, "state", 5) == 0;
}

static int move_one(const struct datadir *d, const char *aside, const char *name, char *why)
{
    char from[2 * CONFIG_PATH_MAX], to[2 * CONFIG_PATH_MAX];

    snprintf(from, sizeof from, "%s/%.255s", d->path, name);
    snprintf(to, sizeof to, "%s/%.255s", aside, name);
    if (rename(from, to) == 0 || errno == ENOENT) return 0;
    return fail_errno(why, from, "set it aside");
}

/* The identity goes last: a crash between leaves one without a log, which is refused. */
static int move_all(const struct datadir *d, const char *aside, char *why)
{
    DIR *dir = opendir(d->path);
    int code = 0;

    if (dir == NULL) return fail_errno(why, d->path, "read it");
    for (const struct dirent *e; code == 0 && (e = readdir(dir)) != NULL;) {
        bool now = is_ours(e->d_name) && strcmp(e->d_name, "identity") != 0;
        if (now) code = move_one(d, aside, e->d_name, why);
    }
    closedir(dir);
    return code == 0 ? move_one(d, aside, "identity", why) : code;
}

/* Named by the second; more than one in it gets a number, too. */
static int make_aside(const struct datadir *d, char *aside, size_t size, char *why)
{
    const time_t now = time(NULL);
    char stamp[20];
    struct tm utc;

    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &utc);
    snprintf(aside, size, "%s/aside-%s", d->path, stamp);
    for (int n = 2; mkdir(aside, 0700) != 0; n++) {
        if (errno != EEXIST || n > ASIDE_TRIES_MAX) return fail_errno(why, aside, "create it");
        snprintf(aside, size, "%s/aside-%s-%d", d->path, stamp, n);
    }
    return 0;
}

static int set_aside(const struct datadir *d, char *why)
{
    char aside[CONFIG_PATH_MAX + 40];
    int code = make_aside(d, aside, sizeof aside, why);

    if (code == 0) code = move_all(d, aside, why);
    if (code == 0) log_line(LOG_INFO, "server", "msg=\"set aside\" in=%s", aside);
    return code;
}

static int cluster_join(struct datadir *d, struct config *c, char *why)
{
    struct identity_place place = { .incarnation = identity_draw() };

    int code = join_ask(c, &place, why);
    if (code != 0) return code;
    log_line(LOG_INFO, "server", "msg=\"joined\" cluster=%s id=%u number=%u", c->cluster,
             c->id, place.number);
    return identity_admit(&d->identity, d->path, c, &place, why);
}

/* --- which of all this --- */

/* Log or state without an identity: somebody took it away, or mixed two directories. */
static int identity_missing(struct datadir *d, struct config *c, char *why)
{
    bool joins = c->join[0] != '\0';

    if (!has_memory(d)) {
        return joins ? cluster_join(d, c, why)
                     : identity_found(&d->identity, d->path, c, why);
    }
    snprintf(why, CONFIG_WHY_MAX,
             "%s holds a log or a state but no identity file: it is not complete, restore "
             "the file, or empty the directory and join with --join",
             d->path);
    return ERR_DAMAGED;
}

/* One that has not joined has promised nothing to anybody: it was started by mistake, or
 * waited for founders that did not come. */
static bool is_set_aside(const struct datadir *d, const struct config *c, int found)
{
    if (c->rejoin) return found == ERR_DAMAGED || found > 0 || (found == 0 && has_memory(d));
    return found > 0 && c->join[0] != '\0' && !d->identity.joined;
}

static int place_settle(struct datadir *d, struct config *c, char *why)
{
    int found = identity_open(&d->identity, d->path, c, why);

    if (is_set_aside(d, c, found)) found = set_aside(d, why);
    if (found < 0) return found;
    if (found == 0) return identity_missing(d, c, why);
    int code = member_expect(d, why);
    return code == 0 ? log_expect(d, c, why) : code;
}

/* --- the whole --- */

int datadir_open(struct datadir *d, struct config *c, char why[CONFIG_WHY_MAX])
{
    *d = (struct datadir){ .lock = -1 };
    int code = directory_make(d, c, why);
    if (code != 0) return code;
    code = lock_take(d, why);
    if (code != 0) return code;
    code = place_settle(d, c, why);
    if (code != 0) datadir_close(d);
    return code;
}

int datadir_open_any(struct datadir *d, struct config *c, char why[CONFIG_WHY_MAX])
{
    *d = (struct datadir){ .lock = -1 };
    int code = directory_make(d, c, why);
    if (code == 0) code = lock_take(d, why);
    if (code != 0) return code;
    int found = identity_open(&d->identity, d->path, c, why);
    if (found > 0) return 0;
    datadir_close(d);
    return found < 0 ? found : ERR_DAMAGED;
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
