#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/errors.h"
#include "core/log/files.h"
#include "core/log/log.h"

/* A log holds files only. One that is not there is no error. */
static int remove_log(const char *dir)
{
    struct log_files old;
    struct dirent *entry;

    int err = log_files_open(&old, dir, false);
    if (err != 0) return errno == ENOENT ? 0 : err;
    DIR *files = opendir(dir);
    if (files == NULL) err = log_files_error(errno);
    while (err == 0 && (entry = readdir(files)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (unlinkat(old.dir_fd, entry->d_name, 0) != 0) err = log_files_error(errno);
    }
    if (files != NULL) closedir(files);
    log_files_close(&old);
    if (err == 0 && rmdir(dir) != 0) err = log_files_error(errno);
    return err;
}

static int sync_parent(const char *dir)
{
    struct log_files parent;
    struct buf path = { 0 };

    buf_put(&path, dir, strlen(dir));
    buf_put(&path, "/..", sizeof "/..");
    int err = log_files_open(&parent, (const char *)path.ptr, false);
    if (err == 0) err = log_files_sync(&parent);
    if (err == 0) log_files_close(&parent);
    buf_fini(&path);
    return err;
}

int log_set_aside(const char *dir, char *why, size_t why_size)
{
    struct log_files files;
    struct buf aside = { 0 };

    buf_put(&aside, dir, strlen(dir));
    buf_put(&aside, ".damaged", sizeof ".damaged");
    const char *to = (const char *)aside.ptr;
    int err = log_files_open(&files, dir, true); /* locked: no server uses it */
    if (err == 0) {
        err = remove_log(to);
        if (err == 0 && rename(dir, to) != 0) err = log_files_error(errno);
        if (err == 0) err = sync_parent(to);
        log_files_close(&files);
    }
    if (err != 0) {
        log_why(why, why_size, err, "%s: cannot be set aside as %s: %s", dir, to,
                strerror(errno));
    }
    buf_fini(&aside);
    return err;
}
