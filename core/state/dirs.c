#include "core/state/dirs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/errors.h"

static int code_of_errno(void)
{
    if (errno == ENOSPC || errno == EDQUOT) return ERR_DISK_FULL;
    return errno == EACCES || errno == EPERM || errno == EROFS ? ERR_NOT_PERMITTED : ERR_IO;
}

int state_dirs_init(struct state_dirs *d, const char *dir)
{
    size_t len = strlen(dir);

    while (len > 1 && dir[len - 1] == '/') len--;
    if (len >= sizeof d->now) {
        errno = ENAMETOOLONG;
        return ERR_IO;
    }
    memcpy(d->now, dir, len);
    d->now[len] = '\0';
    snprintf(d->stage, sizeof d->stage, "%s.tmp", d->now);
    snprintf(d->next, sizeof d->next, "%s.new", d->now);
    snprintf(d->old, sizeof d->old, "%s.old", d->now);
    return 0;
}

static bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* The names in the directory that holds DIR are on disk. */
static int sync_names(const struct state_dirs *d)
{
    char parent[STATE_DIR_MAX];
    const char *slash = strrchr(d->now, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - d->now);

    memcpy(parent, d->now, len);
    parent[len] = '\0';
    int fd = open(slash == NULL ? "." : len == 0 ? "/" : parent, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return code_of_errno();
    int code = fsync(fd) == 0 ? 0 : code_of_errno();
    close(fd);
    return code;
}

static int move(const struct state_dirs *d, const char *from, const char *to)
{
    return rename(from, to) == 0 ? sync_names(d) : code_of_errno();
}

int state_dirs_remove(const char *dir)
{
    char path[STATE_DIR_MAX + 300];
    DIR *listing = opendir(dir);

    if (listing == NULL) return errno == ENOENT ? 0 : code_of_errno();
    for (struct dirent *e; (e = readdir(listing)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (unlink(path) != 0 && errno != ENOENT) {
            int code = code_of_errno();
            closedir(listing);
            return code;
        }
    }
    closedir(listing);
    return rmdir(dir) == 0 ? 0 : code_of_errno();
}

/* What stands at DIR.old while DIR is there was to be removed already. */
static int put_in_place(const struct state_dirs *d)
{
    int code = 0;

    if (is_there(d->now)) {
        code = state_dirs_remove(d->old);
        if (code == 0) code = move(d, d->now, d->old);
    }
    return code == 0 ? move(d, d->next, d->now) : code;
}

int state_dirs_settle(const struct state_dirs *d)
{
    int code = is_there(d->next) ? put_in_place(d) : 0;

    if (code == 0) code = state_dirs_remove(d->old);
    return code == 0 ? state_dirs_remove(d->stage) : code;
}

int state_dirs_swap(const struct state_dirs *d)
{
    int code = move(d, d->stage, d->next);

    return code == 0 ? put_in_place(d) : code;
}
