#define _POSIX_C_SOURCE 200809L
#include "core/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static const char *const level_names[] = { "error", "warn", "info", "debug" };
static enum log_level level_max = LOG_INFO;

void log_set_level(enum log_level level)
{
    level_max = level;
}

void log_line(enum log_level level, const char *component, const char *format, ...)
{
    char line[2048], text[1800], when[32];
    struct timespec now;
    struct tm utc;
    va_list args;

    if (level > level_max) return;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *at = text; *at != '\0'; at++) { /* one event stays one line */
        if (*at == '\n' || *at == '\r') *at = ' ';
    }
    snprintf(line, sizeof line, "time=%s.%03ldZ level=%s component=%s %s\n", when,
             now.tv_nsec / 1000000, level_names[level], component, text);
    fputs(line, stderr);
}
