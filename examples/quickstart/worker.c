/* worker.c -- one of several workers that take turns, by a lock or by an election, append
 * to one ledger under the guard of their turn's token, and use the till of quickstart.sh.
 *
 *     TIDELOCK_SERVERS=host:port,... example-worker lock|election NAME FOLDER
 *
 * It goes on until the file FOLDER/stop is there. All workers append to FOLDER/journal: a
 * line after one got its turn and a line before it gives the turn back, so the order shows
 * whether two had it at once. FOLDER/NAME.acknowledged gets a line for each entry that the
 * service said is written, FOLDER/NAME.moves one for each call of the till. */
#include <errno.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tidelock.h"

enum { CALL_MS = 30000 };

struct kind {
    const char *name, *path, *take, *give_back, *entry;
    int entries, work_us;    /* of one turn */
    uint32_t session_ms;     /* how long the others wait for one that died */
};

static const struct kind kinds[] = {
    { "lock", "/jobs/lock", "lock.acquire", "lock.release", "/ledger/entry-", 3, 1000,
      10000 },
    { "election", "/service", "election.campaign", "election.resign", "/terms/entry-", 8,
      40000, 3000 },
};

struct worker {
    const struct kind *kind;
    const char *name;
    FILE *journal, *acknowledged, *moves; /* opened to append, one write a line */
    char stop[4096];
    long turns;
    tl_client *client;
};

/* A turn is a grant: the node that stands while we have it, and the token that fences. */
struct turn {
    char path[256];
    uint64_t token;
};

static void note(struct worker *w, const char *what, uint64_t token)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    fprintf(w->journal, "%lld %s %s %llu\n",
            (long long) t.tv_sec * 1000 + t.tv_nsec / 1000000, what, w->name,
            (unsigned long long) token);
}

/* --- recipes --- */

struct arguments { /* {text_name = text, number_name = number}, the second one if named */
    const char *text_name, *text, *number_name;
    int64_t number;
};

static void pack_text(msgpack_packer *pk, const char *text)
{
    msgpack_pack_str_with_body(pk, text, strlen(text));
}

/* `answer` is the caller's to free, by tl_free(). */
static int call(struct worker *w, const char *function, const struct arguments *a,
                void **answer, size_t *len)
{
    msgpack_sbuffer args;
    msgpack_packer pk;

    msgpack_sbuffer_init(&args);
    msgpack_packer_init(&pk, &args, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, a->number_name == NULL ? 1 : 2);
    pack_text(&pk, a->text_name), pack_text(&pk, a->text);
    if (a->number_name != NULL) {
        pack_text(&pk, a->number_name), msgpack_pack_int64(&pk, a->number);
    }
    const int code =
        tl_call(w->client, function, args.data, args.size, 0, NULL, answer, len);

    msgpack_sbuffer_destroy(&args);
    return code;
}

/* Fills in the turn from {path, token}. */
static void read_turn(const void *answer, size_t len, struct turn *turn)
{
    msgpack_unpacked u;

    msgpack_unpacked_init(&u);
    if (msgpack_unpack_next(&u, answer, len, NULL) == MSGPACK_UNPACK_SUCCESS &&
        u.data.type == MSGPACK_OBJECT_MAP) {
        for (uint32_t i = 0; i < u.data.via.map.size; i++) {
            const msgpack_object_str *key = &u.data.via.map.ptr[i].key.via.str;
            const msgpack_object *v = &u.data.via.map.ptr[i].val;

            if (key->size == 5 && !memcmp(key->ptr, "token", 5)) turn->token = v->via.u64;
            if (key->size != 4 || memcmp(key->ptr, "path", 4) != 0) continue;
            snprintf(turn->path, sizeof turn->path, "%.*s", (int) v->via.str.size,
                     v->via.str.ptr);
        }
    }
    msgpack_unpacked_destroy(&u);
}

/* Waits for our turn, however long that takes. */
static int take(struct worker *w, struct turn *turn)
{
    const struct arguments a = { "path", w->kind->path, NULL, 0 };
    void *answer;
    size_t len;
    const int code = call(w, w->kind->take, &a, &answer, &len);

    *turn = (struct turn){ 0 };
    if (code == 0) read_turn(answer, len, turn);
    tl_free(answer);
    return code;
}

static int give_back(struct worker *w, const struct turn *turn)
{
    const struct arguments a = { "path", turn->path, "token", (int64_t) turn->token };
    void *answer;
    size_t len;
    const int code = call(w, w->kind->give_back, &a, &answer, &len);

    tl_free(answer);
    return code;
}

/* Two moves in, one out. A refusal is an answer like any other. */
static int use_till(struct worker *w)
{
    const struct arguments a = { "by", w->name, "amount", ++w->turns % 3 == 0 ? -3 : 2 };
    void *answer;
    size_t len;
    const int code = call(w, "till.move", &a, &answer, &len);

    tl_free(answer);
    fprintf(w->moves, "%s %lld\n",
            code == 0 ? "done" : code == TL_REFUSED ? "refused" : "unsure",
            (long long) a.number);
    return code == TL_REFUSED ? 0 : code;
}

/* --- the work --- */

/* The guard makes the service refuse the entry if the turn is ours no more, whatever we
 * believe: we may have been stopped for a minute between two lines. */
static int append(struct worker *w, const struct turn *turn, int n)
{
    const tl_guard guard = { turn->path, turn->token };
    char entry[128], *created = NULL;
    const int len = snprintf(entry, sizeof entry, "%s %llu %d", w->name,
                             (unsigned long long) turn->token, n);
    const int code = tl_create(w->client, w->kind->entry, entry, (size_t) len,
                               TL_SEQUENTIAL | TL_PARENTS, &guard, &created, NULL);

    if (code == 0) fprintf(w->acknowledged, "%s %s\n", created, entry);
    tl_free(created);
    return code;
}

/* It stops when the session may be over: from then on another worker may be at it. */
static int work(struct worker *w, const struct turn *turn)
{
    int code = 0;

    for (int n = 1; n <= w->kind->entries && code == 0; n++) {
        usleep((useconds_t) w->kind->work_us);
        code = tl_session_left_ms(w->client) > 0 ? append(w, turn, n) : TL_SESSION_EXPIRED;
    }
    return code;
}

/* How the turn ended, as the journal tells it. A refusal by the guard while the session
 * lives would mean that somebody took the turn away from us. */
static const char *ending(struct worker *w, int code)
{
    if (code == 0) return "leave";
    if (tl_session(w->client) == TL_SESSION_OVER) return "lost";
    return code == TL_PENDING ? "unsure" : "refused";
}

static int take_turn(struct worker *w)
{
    struct turn turn;
    int code = take(w, &turn);

    if (code != 0) return code;
    note(w, "enter", turn.token);
    code = work(w, &turn);
    note(w, ending(w, code), turn.token);
    if (code == 0) code = give_back(w, &turn);
    return code == 0 ? use_till(w) : code;
}

static bool is_stopping(const struct worker *w)
{
    return access(w->stop, F_OK) == 0;
}

/* A session that is over took its turn along, so the worker begins anew with another. */
static int run(struct worker *w)
{
    const tl_options options = { .servers = getenv("TIDELOCK_SERVERS"),
                                 .timeout_ms = CALL_MS,
                                 .session_timeout_ms = w->kind->session_ms };
    int code = 0;

    while (!is_stopping(w) && (code == 0 || code == TL_SESSION_EXPIRED)) {
        code = tl_connect(&options, &w->client);
        while (!is_stopping(w) && code == 0) code = take_turn(w);
        if (code != 0) {
            fprintf(stderr, "%s: %s: %s\n", w->name, tl_error_name(code), tl_message());
        }
        tl_close(w->client);
        w->client = NULL;
    }
    return code == TL_SESSION_EXPIRED ? 0 : code;
}

static FILE *open_lines(const char *folder, const char *name, const char *suffix)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s%s", folder, name, suffix);
    FILE *file = fopen(path, "a");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(EXIT_FAILURE);
    }
    setvbuf(file, NULL, _IOLBF, 0); /* a line is one write: they do not mix */
    return file;
}

int main(int argc, char **argv)
{
    struct worker w = { 0 };

    for (int i = 0; argc == 4 && i < 2; i++) {
        if (strcmp(argv[1], kinds[i].name) == 0) w.kind = &kinds[i];
    }
    if (w.kind == NULL) {
        fprintf(stderr, "usage: %s lock|election NAME FOLDER\n", argv[0]);
        return 2;
    }
    w.name = argv[2];
    w.journal = open_lines(argv[3], "journal", "");
    w.acknowledged = open_lines(argv[3], w.name, ".acknowledged");
    w.moves = open_lines(argv[3], w.name, ".moves");
    snprintf(w.stop, sizeof w.stop, "%s/stop", argv[3]);
    return run(&w) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
