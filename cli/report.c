#include "cli/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/errors.h"

enum cli_exit report_exit_of(int code)
{
    switch (code) {
    case ERR_OK:
        return CLI_OK;
    case ERR_CONFIG:
    case ERR_BAD_PATH:
        return CLI_USAGE;
    case ERR_UNREACHABLE:
    case ERR_PENDING:
        return CLI_UNREACHABLE;
    case ERR_NO_NODE:
    case ERR_NO_RECIPE:
    case ERR_NO_FUNCTION:
    case ERR_NO_CALL:
    case ERR_NO_MEMBER:
        return CLI_NOT_FOUND;
    case ERR_NODE_EXISTS:
    case ERR_BAD_VERSION:
    case ERR_NOT_EMPTY:
    case ERR_GUARD_FAILED:
    case ERR_REFUSED:
    case ERR_MEMBER_EXISTS:
    case ERR_MEMBERS_FULL:
    case ERR_LAST_VOTER:
    case ERR_UNSAFE_CHANGE:
        return CLI_CONFLICT;
    case ERR_BAD_SECRET:
    case ERR_RESERVED:
    case ERR_NOT_PERMITTED:
        return CLI_NOT_PERMITTED;
    case ERR_NO_QUORUM:
        return CLI_NO_QUORUM;
    default: /* codes of newer servers included */
        return CLI_FAILED;
    }
}

/* A script's error may have several lines; ours stays one line. */
static void print_on_one_line(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        fputc((unsigned char) *at < 0x20 || *at == 0x7f ? ' ' : *at, stderr);
    }
}

/* `text` behind the word and ": " that it may start with. */
static const char *without_prefix(const char *text, const char *word)
{
    const size_t len = strlen(word);

    if (strncmp(text, word, len) != 0) return text;
    if (text[len] == '\0') return text + len;
    return text[len] == ':' && text[len + 1] == ' ' ? text + len + 2 : text;
}

/* A server's message repeats the name and the text in front of what it adds. */
int report_error(const char *command, int code, const char *detail)
{
    const char *added = detail == NULL ? "" : without_prefix(detail, error_name(code));

    added = without_prefix(added, error_text(code));
    fprintf(stderr, "tidelock: %s: %s: %s", command, error_name(code), error_text(code));
    if (added[0] != '\0') {
        fputs(" (", stderr);
        print_on_one_line(added);
        fputc(')', stderr);
    }
    fputc('\n', stderr);
    return (int) report_exit_of(code);
}

static void print_line(const char *command, const char *kind, const char *format,
                       va_list arguments)
{
    fprintf(stderr, "tidelock: %s%s%s", command == NULL ? "" : command,
            command == NULL ? "" : ": ", kind);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int report_usage(const char *command, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(command, "usage: ", format, arguments);
    va_end(arguments);
    return CLI_USAGE;
}

void report_note(const char *command, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(command, "", format, arguments);
    va_end(arguments);
}

void report_printf(struct buf *out, const char *format, ...)
{
    va_list arguments;
    int len;

    CHECK(format != NULL);
    va_start(arguments, format);
    len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (len <= 0) return;
    buf_reserve(out, (size_t) len + 1);
    va_start(arguments, format);
    vsnprintf((char *) out->ptr + out->len, (size_t) len + 1, format, arguments);
    va_end(arguments);
    out->len += (size_t) len;
}

int report_write(const char *command, struct bytes text)
{
    while (text.len > 0) {
        const ssize_t n = write(STDOUT_FILENO, text.ptr, text.len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return report_error(command, ERR_IO, strerror(errno));
        text.ptr += n;
        text.len -= (size_t) n;
    }
    return CLI_OK;
}
