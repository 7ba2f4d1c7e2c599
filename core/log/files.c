#include "core/log/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/errors.h"

#define SPARE_NAME      "spare.seg"
#define SPARE_NAME_HALF "spare.tmp"

int log_files_error(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* the process's own limit on file sizes */
        return ERR_DISK_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_NOT_PERMITTED;
    case EWOULDBLOCK:
        return ERR_IN_USE;
    default:
        return ERR_IO;
    }
}

int log_why(char *why, size_t size, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, size, format, args);
    va_end(args);
    return code;
}

static int failed(void)
{
    return log_files_error(errno);
}

static int dir_create(const char *dir)
{
    if (mkdir(dir, 0700) != 0) return errno == EEXIST ? 0 : failed();

    /* Its own name must be durable too, or all the log may vanish with it. */
    char *parent = mem_alloc(strlen(dir) + sizeof "/..");
    strcpy(parent, dir);
    strcat(parent, "/..");
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(parent);
    if (fd < 0) return failed();
    int err = fsync(fd) == 0 ? 0 : failed();
    close(fd);
    return err;
}

int log_files_open(struct log_files *f, const char *dir, bool create)
{
    int err = create ? dir_create(dir) : 0;

    *f = (struct log_files){ .dir_fd = -1 };
    if (err != 0) return err;
    f->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir_fd < 0) return failed();
    if (create && flock(f->dir_fd, LOCK_EX | LOCK_NB) != 0) {
        err = failed();
        close(f->dir_fd);
        f->dir_fd = -1;
        return err;
    }
    f->dir = strdup(dir);
    CHECK(f->dir != NULL);
    return 0;
}

void log_files_close(struct log_files *f)
{
    if (f->dir_fd >= 0) close(f->dir_fd);
    free(f->dir);
    *f = (struct log_files){ .dir_fd = -1 };
}

int log_files_sync(const struct log_files *f)
{
    return fsync(f->dir_fd) == 0 ? 0 : failed();
}

void log_files_name(uint64_t generation, char name[32])
{
    snprintf(name, 32, "%016" PRIx64 ".seg", generation);
}

static bool name_is_segment(const char *name, uint64_t *generation)
{
    char again[32];

    if (strlen(name) != 20) return false;
    *generation = strtoull(name, NULL, 16);
    log_files_name(*generation, again);
    return strcmp(name, again) == 0;
}

static int generation_cmp(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

int log_files_list(const struct log_files *f, uint64_t **generations, size_t *count)
{
    struct dirent *entry;
    uint64_t generation;
    DIR *dir = opendir(f->dir);

    *generations = NULL;
    *count = 0;
    if (dir == NULL) return failed();
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (!name_is_segment(entry->d_name, &generation)) continue;
        *generations = mem_grow(*generations, (*count + 1) * sizeof generation);
        (*generations)[(*count)++] = generation;
    }
    int err = errno == 0 ? 0 : failed();
    closedir(dir);
    if (*count > 1) qsort(*generations, *count, sizeof generation, generation_cmp);
    return err;
}

int log_fd_write(int fd, struct bytes s, uint64_t at)
{
    while (s.len > 0) {
        ssize_t done = pwrite(fd, s.ptr, s.len, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return failed();
        s = bytes_of(s.ptr + done, s.len - (size_t)done);
        at += (uint64_t)done;
    }
    return 0;
}

int log_fd_read(int fd, uint8_t *into, size_t len, uint64_t at)
{
    while (len > 0) {
        ssize_t done = pread(fd, into, len, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return failed();
        if (done == 0) return ERR_DAMAGED;
        into += done;
        len -= (size_t)done;
        at += (uint64_t)done;
    }
    return 0;
}

static int open_named(const struct log_files *f, const char *name, int flags, int *fd,
                      uint64_t *bytes)
{
    struct stat st;

    *fd = openat(f->dir_fd, name, flags | O_CLOEXEC, 0600);
    if (*fd < 0) return failed();
    if (fstat(*fd, &st) == 0) {
        *bytes = (uint64_t)st.st_size;
        return 0;
    }
    int err = failed();
    close(*fd);
    *fd = -1;
    return err;
}

/* Read, not mapped: a bad disk block must be an error here and not a signal. */
int log_files_load(const struct log_files *f, uint64_t generation, struct buf *out)
{
    char name[32];
    uint64_t bytes;
    int fd;

    log_files_name(generation, name);
    int err = open_named(f, name, O_RDONLY, &fd, &bytes);
    if (err != 0) return err;
    buf_reserve(out, bytes);
    err = log_fd_read(fd, out->ptr + out->len, bytes, 0);
    if (err == 0) out->len += bytes;
    close(fd);
    return err;
}

int log_segment_open(const struct log_files *f, uint64_t generation, struct log_segment *s)
{
    char name[32];

    *s = (struct log_segment){ .generation = generation };
    log_files_name(generation, name);
    return open_named(f, name, O_RDWR, &s->fd, &s->bytes);
}

static int remove_named(const struct log_files *f, const char *name)
{
    if (unlinkat(f->dir_fd, name, 0) != 0) return errno == ENOENT ? 0 : failed();
    return log_files_sync(f);
}

static int rename_named(const struct log_files *f, const char *from, const char *to)
{
    if (renameat(f->dir_fd, from, f->dir_fd, to) != 0) return failed();
    return log_files_sync(f);
}

/* Without its header a file's old groups mean nothing to anybody. */
static int zero_header(int fd)
{
    static const uint8_t zeros[LOG_SEGMENT_HEADER];

    int err = log_fd_write(fd, bytes_of(zeros, sizeof zeros), 0);
    if (err != 0) return err;
    return fdatasync(fd) == 0 ? 0 : failed();
}

int log_spare_open(struct log_spare *s, const struct log_files *f, uint64_t segment_bytes)
{
    *s = (struct log_spare){ .fd = -1 };

    int err = remove_named(f, SPARE_NAME_HALF);
    if (err != 0) return err;
    if (faccessat(f->dir_fd, SPARE_NAME, F_OK, 0) != 0)
        return errno == ENOENT ? 0 : failed();
    err = open_named(f, SPARE_NAME, O_RDWR, &s->fd, &s->bytes);
    if (err != 0) return err;
    if (s->bytes != segment_bytes) { /* the configuration was changed since */
        close(s->fd);
        *s = (struct log_spare){ .fd = -1 };
        return remove_named(f, SPARE_NAME);
    }
    s->ready = true;
    s->filled = s->bytes;
    return zero_header(s->fd);
}

int log_spare_begin(struct log_spare *s, const struct log_files *f, uint64_t bytes)
{
    struct statvfs disk;

    CHECK(s->fd < 0);
    *s = (struct log_spare){ .fd = -1, .bytes = bytes };
    /* As much again is left to others: the state's way to disk fails less gently. */
    if (fstatvfs(f->dir_fd, &disk) == 0 && disk.f_bavail * disk.f_frsize < 2 * bytes) {
        errno = ENOSPC;
        return failed();
    }
    s->fd =
        openat(f->dir_fd, SPARE_NAME_HALF, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (s->fd < 0) return failed();

    /* All the space is had at once: from here on no write meets a full disk. */
    int error = posix_fallocate(s->fd, 0, (off_t)bytes);
    if (error == 0) return 0;
    log_spare_drop(s, f);
    errno = error;
    return failed();
}

int log_spare_fill(struct log_spare *s, const struct log_files *f, uint64_t bytes_max)
{
    static const uint8_t zeros[LOG_SLICE_BYTES];
    uint64_t left = s->bytes - s->filled;
    uint64_t end = left < bytes_max ? s->bytes : s->filled + bytes_max;

    CHECK(!s->ready);
    while (s->filled < end) {
        left = end - s->filled;
        size_t len = left < sizeof zeros ? (size_t)left : sizeof zeros;
        int err = log_fd_write(s->fd, bytes_of(zeros, len), s->filled);
        if (err != 0) return err;
        s->filled += len;
    }
    if (fdatasync(s->fd) != 0) return failed();
    if (s->filled < s->bytes) return 0;
    s->ready = true;
    return rename_named(f, SPARE_NAME_HALF, SPARE_NAME);
}

void log_spare_drop(struct log_spare *s, const struct log_files *f)
{
    if (s->fd < 0) return;
    close(s->fd);
    unlinkat(f->dir_fd, s->ready ? SPARE_NAME : SPARE_NAME_HALF, 0);
    *s = (struct log_spare){ .fd = -1 };
}

int log_spare_take(struct log_spare *s, const struct log_files *f,
                   const struct log_segment_header *h, struct log_segment *segment)
{
    uint8_t header[LOG_SEGMENT_HEADER];
    char name[32];

    CHECK(s->ready);
    log_segment_header_encode(header, h);
    int err = log_fd_write(s->fd, bytes_of(header, sizeof header), 0);
    if (err == 0 && fdatasync(s->fd) != 0) err = failed();
    if (err != 0) return err;
    log_files_name(h->generation, name);
    err = rename_named(f, SPARE_NAME, name);
    if (err != 0) return err;
    *segment =
        (struct log_segment){ .generation = h->generation, .bytes = s->bytes, .fd = s->fd };
    *s = (struct log_spare){ .fd = -1 };
    return 0;
}

int log_segment_retire(struct log_segment *segment, const struct log_files *f,
                       struct log_spare *s, uint64_t segment_bytes)
{
    char name[32];

    log_files_name(segment->generation, name);
    if ((s->fd >= 0 && s->ready) || segment->bytes != segment_bytes) {
        close(segment->fd);
        return remove_named(f, name);
    }
    log_spare_drop(s, f); /* a half-made one: this one is ready now */
    *s = (struct log_spare){
        .fd = segment->fd, .bytes = segment->bytes, .filled = segment->bytes, .ready = true
    };
    /* In this order: a segment whose header is zero is damage, never a crash. A spare with
     * an old header is none: log_spare_open(). */
    int err = rename_named(f, name, SPARE_NAME);
    return err != 0 ? err : zero_header(s->fd);
}
