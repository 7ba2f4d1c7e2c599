#include "tests/lib/fake_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener;
static pthread_t thread;
static fake_answer_fn answer_with;

int fake_listen(char *address, size_t size)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    bind(fd, (struct sockaddr *) &at, sizeof at);
    listen(fd, 8);
    getsockname(fd, (struct sockaddr *) &at, &len);
    snprintf(address, size, "127.0.0.1:%d", ntohs(at.sin_port));
    return fd;
}

static void serve(int fd)
{
    struct buf in = { 0 }, out = { 0 };
    msgpack_zone *zone = msgpack_zone_new(1024);
    struct rpc_scan scan;
    size_t len;
    bool open = true;

    rpc_scan_init(&scan);
    while (open) {
        buf_reserve(&in, 4096);
        ssize_t n = read(fd, in.ptr + in.len, 4096);
        if (n <= 0) break;
        in.len += (size_t) n;
        while (open &&
               rpc_scan(&scan, buf_bytes(&in), RPC_BYTES_MAX, &len) == RPC_SCAN_WHOLE) {
            struct rpc_message m;

            open = rpc_decode(bytes_of(in.ptr, len), zone, &m) == 0 &&
                   answer_with(&m, &out);
            buf_drop(&in, len);
        }
        if (out.len > 0 && write(fd, out.ptr, out.len) < 0) open = false;
        buf_clear(&out);
    }
    close(fd);
    buf_fini(&in);
    buf_fini(&out);
    msgpack_zone_free(zone);
}

static void *server_thread(void *arg)
{
    int fd;

    (void) arg;
    while ((fd = accept(listener, NULL, NULL)) >= 0) serve(fd);
    return NULL;
}

void fake_server_start(char *address, size_t size, fake_answer_fn answer)
{
    answer_with = answer;
    listener = fake_listen(address, size);
    pthread_create(&thread, NULL, server_thread, NULL);
}

void fake_server_stop(void)
{
    shutdown(listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(listener);
}

void fake_put_stat(struct buf *b)
{
    uint64_t value = 40;

    pack_cstr(b, "stat");
    pack_map(b, STAT_FIELDS_COUNT);
#define F(member, name) pack_cstr(b, name), pack_uint(b, ++value);
    STAT_FIELDS(F)
#undef F
}

void fake_put_hello(struct buf *b)
{
    pack_map(b, 2);
    pack_cstr(b, "proto");
    pack_uint(b, RPC_PROTO);
    pack_cstr(b, "cluster");
    pack_cstr(b, "main");
}

void fake_put_session(struct buf *b, uint64_t timeout_ms)
{
    pack_map(b, 3);
    pack_cstr(b, "id");
    pack_uint(b, 77);
    pack_cstr(b, "secret");
    pack_bin(b, BYTES_LIT("0123456789abcdef"));
    pack_cstr(b, "timeout_ms");
    pack_uint(b, timeout_ms);
}

void fake_put_refusal(struct buf *b, uint32_t msgid, int code)
{
    pack_array(b, 4);
    pack_uint(b, 1);
    pack_uint(b, msgid);
    pack_map(b, 3);
    pack_cstr(b, "code");
    pack_int(b, code);
    pack_cstr(b, "message");
    pack_cstr(b, "no such thing");
    pack_cstr(b, "details");
    pack_map(b, 1);
    pack_cstr(b, "index");
    pack_uint(b, 1);
    pack_nil(b);
}
