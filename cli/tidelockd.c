/* tidelockd -- the server's program: what is asked on its command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/errors.h"
#include "core/log/log.h"
#include "core/machine/batch.h"
#include "core/rpc/rpc.h"
#include "core/server/recover.h"
#include "core/server/server.h"
#include "core/server/version.h"

enum { EXIT_USAGE = 2 };

static void print(struct buf *text)
{
    fwrite(text->ptr, 1, text->len, stdout);
    buf_fini(text);
}

static int help(void)
{
    struct buf keys = { 0 };

    printf("Usage: tidelockd --dev                 one server, nothing to configure\n"
           "       tidelockd --id N --data DIR --members 1=host:port,... [flags]\n"
           "       tidelockd --config FILE [flags]\n"
           "       tidelockd --join HOST:PORT,... --data DIR --peer HOST:PORT [flags]\n"
           "                                       become a member of a cluster that is there\n"
           "       tidelockd recover --data DIR --i-lost-the-majority\n"
           "                                       go on from one survivor; see README.md\n"
           "       tidelockd log dump DIR          print the log in a data directory\n"
           "       tidelockd log verify DIR        judge it only\n"
           "       tidelockd --print-protocol | --version | --help\n\n"
           "Flags, which are also the keys of FILE (key = value); flags win:\n");
    config_print_keys(&keys);
    print(&keys);
    return EXIT_SUCCESS;
}

static int print_protocol(void)
{
    struct buf text = { 0 };

    rpc_print_protocol(&text);
    print(&text);
    return EXIT_SUCCESS;
}

/* --- tidelockd log --- */

static void print_line(void *ctx, const char *text)
{
    (void)ctx;
    puts(text);
}

static void drop_line(void *ctx, const char *text)
{
    (void)ctx;
    (void)text;
}

static const struct log_printer dumper = { .line = print_line, .batch = batch_print };
static const struct log_printer judge_only = { .line = drop_line };

static int log_usage(void)
{
    fprintf(stderr, "tidelockd: usage: tidelockd log dump|verify DIR, the data directory of "
                    "a server\n");
    return EXIT_USAGE;
}

/* The directory is the last argument; `--data` before it may be written, as for a server. */
static int log_command(int argc, char **argv)
{
    char dir[CONFIG_PATH_MAX + 8], why[CONFIG_WHY_MAX] = "";

    if (argc < 4 || argc > 5) return log_usage();
    if (argc == 5 && strcmp(argv[3], "--data") != 0) return log_usage();
    bool dump = strcmp(argv[2], "dump") == 0;
    if (!dump && strcmp(argv[2], "verify") != 0) return log_usage();
    if (strlen(argv[argc - 1]) >= CONFIG_PATH_MAX) return log_usage();
    snprintf(dir, sizeof dir, "%s/log", argv[argc - 1]);
    int code = log_dump(dir, dump ? &dumper : &judge_only, why, sizeof why);
    fflush(stdout);
    if (code != 0) {
        fprintf(stderr, "tidelockd: %s: %s\n", error_name(code), why);
        return EXIT_FAILURE;
    }
    if (!dump) puts("the log is sound");
    return EXIT_SUCCESS;
}

/* --- tidelockd recover --- */

static int recover_usage(void)
{
    fprintf(stderr,
            "tidelockd: usage: tidelockd recover --data DIR --i-lost-the-majority\n"
            "Only when most voters of the cluster are lost for good, on ONE survivor, the one\n"
            "that has applied most (tidelock status; tidelockd log dump). Writes that only the\n"
            "lost servers knew are gone, acknowledged ones too. All other servers of the old\n"
            "cluster must stay off, and join with empty directories (--join).\n");
    return EXIT_USAGE;
}

static int recover_command(int argc, char **argv)
{
    const char *data = NULL;
    struct buf say = { 0 };
    char why[CONFIG_WHY_MAX] = "";
    bool sure = false;

    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--i-lost-the-majority") == 0) {
            sure = true;
        } else if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
            data = argv[++i];
        } else {
            return recover_usage();
        }
    }
    if (!sure || data == NULL) return recover_usage();
    int code = recover_run(data, &say, why, sizeof why);
    print(&say);
    if (code == 0) return EXIT_SUCCESS;
    fprintf(stderr, "tidelockd: recover: %s: %s\n", error_name(code), why);
    return EXIT_FAILURE;
}

/* --- the server --- */

static int serve(int argc, char **argv)
{
    struct config *config = mem_zalloc(sizeof *config);
    char why[CONFIG_WHY_MAX] = "";
    int status = EXIT_USAGE;

    if (config_read(config, argc, argv, why) != 0) {
        fprintf(stderr, "tidelockd: %s\n", why);
    } else {
        status = server_run(config);
    }
    free(config);
    return status;
}

int main(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : "";

    if (strcmp(first, "log") == 0) return log_command(argc, argv);
    if (strcmp(first, "recover") == 0) return recover_command(argc, argv);
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) return help();
    if (strcmp(first, "--print-protocol") == 0) return print_protocol();
    if (strcmp(first, "--version") == 0) {
        puts("tidelockd " TIDELOCK_VERSION);
        return EXIT_SUCCESS;
    }
    return serve(argc, argv);
}
