/* bench_report.h -- the figures of `tidelock bench` as a table or as JSON. */
#ifndef CLI_BENCH_REPORT_H
#define CLI_BENCH_REPORT_H

#include "cli/bench_loop.h"
#include "cli/options.h"

/* Prints them to stdout; returns the exit status of that. */
int bench_report(const struct options *o, const struct bench_config *config,
                 const struct bench_hosts *hosts, const struct bench_result *result);

#endif
