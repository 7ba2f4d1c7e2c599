#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/report.h"
#include "core/base/errors.h"
#include "core/base/limits.h"

static int fail(const struct options *o, const char *name, int code, const char *why)
{
    char detail[300];

    snprintf(detail, sizeof detail, "%.200s%s%s", name, why[0] == '\0' ? "" : ": ", why);
    return report_error(o->command, code, detail);
}

static int read_all(const struct options *o, const char *name, int fd, struct buf *data)
{
    for (;;) {
        buf_reserve(data, 65536);
        const ssize_t n = read(fd, data->ptr + data->len, 65536);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(o, name, ERR_IO, strerror(errno));
        if (n == 0) return 0;
        data->len += (size_t) n;
        if (data->len > REQUEST_BYTES_MAX) return fail(o, name, ERR_TOO_LARGE, "");
    }
}

int input_read(const struct options *o, const char *name, struct buf *data)
{
    int fd, status;

    if (strcmp(name, "-") == 0) return read_all(o, "standard input", STDIN_FILENO, data);
    fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail(o, name, ERR_IO, strerror(errno));
    status = read_all(o, name, fd, data);
    close(fd);
    return status;
}
