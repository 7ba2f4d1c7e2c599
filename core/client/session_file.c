#include "core/client/session_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"

enum { LINE_MAX_BYTES = 64 + 2 * SESSION_SECRET_BYTES_MAX };

static int fail(struct session_file *f, int code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(f->why, sizeof f->why, format, arguments);
    va_end(arguments);
    return code;
}

static int fail_io(struct session_file *f, const char *what)
{
    return fail(f, ERR_IO, "the session file %s cannot be %s: %s", f->path, what,
                strerror(errno));
}

static char *path_with(const struct session_file *f, const char *suffix)
{
    const size_t len = strlen(f->path), more = strlen(suffix) + 1;
    char *path = mem_alloc(len + more);

    memcpy(path, f->path, len);
    memcpy(path + len, suffix, more);
    return path;
}

/* --- the line --- */

static size_t line_print(const struct client_session *s, char line[LINE_MAX_BYTES])
{
    size_t len = (size_t) snprintf(line, LINE_MAX_BYTES, "tidelock-session 1 %llu ",
                                   (unsigned long long) s->id);

    for (size_t i = 0; i < s->secret.len; i++) {
        len += (size_t) snprintf(line + len, LINE_MAX_BYTES - len, "%02x",
                                 s->secret.ptr[i]);
    }
    len += (size_t) snprintf(line + len, LINE_MAX_BYTES - len, "\n");
    CHECK(len < LINE_MAX_BYTES);
    return len;
}

static size_t secret_read(const char *hex, uint8_t *secret)
{
    unsigned byte = 0;
    size_t len = 0;

    while (len < SESSION_SECRET_BYTES_MAX && sscanf(hex + 2 * len, "%2x", &byte) == 1) {
        secret[len++] = (uint8_t) byte;
    }
    return len;
}

/* What was read is printed again and compared, so nothing but a line of ours is one. */
static bool line_read(struct session_file *f, const char *line, size_t len,
                      struct client_session *s)
{
    char again[LINE_MAX_BYTES];
    unsigned long long id = 0;
    int hex_at = 0;

    if (sscanf(line, "tidelock-session 1 %llu %n", &id, &hex_at) != 1 || hex_at == 0) {
        return false;
    }
    *s = (struct client_session){ .id = id };
    s->secret = bytes_of(f->secret, secret_read(line + hex_at, f->secret));
    return id != 0 && s->secret.len > 0 && line_print(s, again) == len &&
           memcmp(again, line, len) == 0;
}

/* --- opening --- */

static int lock_take(struct session_file *f)
{
    char *path = path_with(f, ".lock");

    f->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    free(path);
    if (f->lock_fd < 0) return fail_io(f, "locked");
    if (flock(f->lock_fd, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno != EWOULDBLOCK) return fail_io(f, "locked");
    return fail(f, ERR_IN_USE, "the session file %s is in use by another client", f->path);
}

static int former_read(struct session_file *f, struct client_session *former)
{
    char line[LINE_MAX_BYTES + 1];
    const int fd = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0) return errno == ENOENT ? 0 : fail_io(f, "read");
    const ssize_t len = read(fd, line, LINE_MAX_BYTES);
    if (len < 0) (void) fail_io(f, "read");
    close(fd);
    if (len < 0) return ERR_IO;
    line[len] = '\0';
    if (len == 0 || line_read(f, line, (size_t) len, former)) return 0;
    return fail(f, ERR_CONFIG, "%s is not a session file: it is left as it is", f->path);
}

int session_file_open(struct session_file *f, const char *path,
                      struct client_session *former)
{
    int code;

    *f = (struct session_file){ .lock_fd = -1 };
    *former = (struct client_session){ 0 };
    if (path == NULL) return 0;
    f->path = mem_alloc(strlen(path) + 1);
    memcpy(f->path, path, strlen(path) + 1);
    code = lock_take(f);
    if (code == 0) code = former_read(f, former);
    if (code != 0) session_file_close(f);
    return code;
}

/* --- writing --- */

static bool file_fill(int fd, const char *line, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(fd, line, len);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        line += n;
        len -= (size_t) n;
    }
    return fsync(fd) == 0;
}

/* So that the rename outlives a crash of the machine. */
static bool folder_sync(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? NULL : strndup(path, (size_t) (slash - path) + 1);
    const int fd = open(folder == NULL ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool done = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0) close(fd);
    free(folder);
    return done;
}

static bool file_replace(const struct session_file *f, const char *new, const char *line,
                         size_t len)
{
    const int fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool done;

    if (fd < 0) return false;
    done = fchmod(fd, 0600) == 0 && file_fill(fd, line, len);
    close(fd);
    return done && rename(new, f->path) == 0 && folder_sync(f->path);
}

int session_file_write(struct session_file *f, const struct client_session *session)
{
    char line[LINE_MAX_BYTES], *new;
    int code = 0;

    if (f->path == NULL) return 0;
    if (session->secret.len > SESSION_SECRET_BYTES_MAX) {
        return fail(f, ERR_BAD_MESSAGE, "the session's secret is too long to be kept");
    }
    new = path_with(f, ".new");
    if (!file_replace(f, new, line, line_print(session, line))) {
        code = fail_io(f, "written");
        (void) unlink(new);
    }
    free(new);
    return code;
}

void session_file_remove(struct session_file *f)
{
    if (f->path != NULL) (void) unlink(f->path); /* what is left names a dead session */
}

void session_file_close(struct session_file *f)
{
    if (f->lock_fd >= 0) close(f->lock_fd);
    free(f->path);
    f->path = NULL;
    f->lock_fd = -1;
}
