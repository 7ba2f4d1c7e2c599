/* log.h -- one line per event on stderr: logfmt, UTC, level, component.
 *
 *   time=2026-03-01T10:00:00.123Z level=info component=paxos msg="leading" round=7
 *
 * Quiet by default: what an operator must know, nothing per request, never a secret and
 * never a node's data.  (The Paxos log on disk is core/log, another thing.) */
#ifndef CORE_BASE_LOG_H
#define CORE_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level); /* LOG_INFO at start */

/* `format` gives the rest of the line after component=...: keys and values, msg first. */
void log_line(enum log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
