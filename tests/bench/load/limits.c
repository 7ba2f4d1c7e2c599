/* limits.c -- what this machine can do at best: bench-limits sync DIR, bench-limits echo.
 *
 *     sync DIR  writes 4 KiB into a file that is there already and syncs it, as the log
 * does, again and again for a second: {"sync_p10_us", "sync_p50_us", ...} echo      a libuv
 * server that sends back what it gets; prints {"port"} and serves until its input ends.
 * `bench-load echo get` makes the load. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "cli/clock.h"
#include "cli/histogram.h"
#include "core/base/bytes.h"
#include "core/base/check.h"

enum { BLOCK = 4096, BLOCKS = 4096, MEASURE_US = 1000000, ECHO_BYTES = 1 << 16 };

static int fail(const char *what)
{
    fprintf(stderr, "bench-limits: ");
    perror(what);
    return 1;
}

/* --- sync --- */

static bool write_block(int fd, unsigned i)
{
    static const uint8_t block[BLOCK] = { 1 };
    return pwrite(fd, block, BLOCK, (off_t)(i % BLOCKS) * BLOCK) == BLOCK;
}

static int measure_sync(const char *dir)
{
    static struct histogram h;
    char path[4096];
    uint64_t until_us;
    int fd;

    snprintf(path, sizeof path, "%s/bench-sync", dir);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return fail(path);
    unlink(path);
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (!write_block(fd, i)) return fail(path);
    }
    if (fsync(fd) != 0) return fail(path);
    until_us = clock_now_us() + MEASURE_US;
    for (unsigned i = 0; clock_now_us() < until_us; i++) {
        const uint64_t begun_us = clock_now_us();

        if (!write_block(fd, i) || fdatasync(fd) != 0) return fail(path);
        histogram_add(&h, clock_now_us() - begun_us);
    }
    close(fd);
    printf("{\"sync_p10_us\":%llu,\"sync_p50_us\":%llu,\"sync_p99_us\":%llu}\n",
           (unsigned long long)histogram_at(&h, 100),
           (unsigned long long)histogram_at(&h, 500),
           (unsigned long long)histogram_at(&h, 990));
    return 0;
}

/* --- echo --- */

static uv_loop_t loop;

struct echo {
    uv_tcp_t tcp;
    uint8_t room[ECHO_BYTES];
};

static void give_room(uv_handle_t *handle, size_t hint, uv_buf_t *room)
{
    struct echo *e = CONTAINER_OF((uv_tcp_t *)handle, struct echo, tcp);

    (void)hint;
    *room = uv_buf_init((char *)e->room, sizeof e->room);
}

static void on_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_tcp_t *)handle, struct echo, tcp));
}

/* The answers are small and the client reads them all, so they fit into the socket. */
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *got)
{
    uv_buf_t answer = uv_buf_init(got->base, (unsigned)(count > 0 ? count : 0));

    if (count == 0) return;
    if (count < 0 || uv_try_write(stream, &answer, 1) != (int)count) {
        uv_close((uv_handle_t *)stream, on_closed);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct echo *e = mem_zalloc(sizeof *e);

    CHECK(status == 0);
    CHECK(uv_tcp_init(&loop, &e->tcp) == 0);
    CHECK(uv_accept(listener, (uv_stream_t *)&e->tcp) == 0);
    uv_tcp_nodelay(&e->tcp, 1);
    CHECK(uv_read_start((uv_stream_t *)&e->tcp, give_room, on_read) == 0);
}

/* Whoever started it has ended, or wants it to. */
static void on_input(uv_poll_t *input, int status, int events)
{
    char byte;

    (void)input;
    (void)status;
    (void)events;
    if (read(STDIN_FILENO, &byte, 1) <= 0) exit(0);
}

static int serve_echo(void)
{
    static uv_tcp_t listener;
    static uv_poll_t input;
    struct sockaddr_in address;
    int len = sizeof address;

    CHECK(uv_loop_init(&loop) == 0);
    CHECK(uv_ip4_addr("127.0.0.1", 0, &address) == 0);
    CHECK(uv_tcp_init(&loop, &listener) == 0);
    CHECK(uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0) == 0);
    CHECK(uv_listen((uv_stream_t *)&listener, 1024, on_connection) == 0);
    CHECK(uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &len) == 0);
    CHECK(uv_poll_init(&loop, &input, STDIN_FILENO) == 0);
    CHECK(uv_poll_start(&input, UV_READABLE, on_input) == 0);
    printf("{\"port\":%u}\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(&loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "sync") == 0) return measure_sync(argv[2]);
    if (argc == 2 && strcmp(argv[1], "echo") == 0) return serve_echo();
    fputs("usage: bench-limits sync DIR | bench-limits echo\n", stderr);
    return 2;
}
