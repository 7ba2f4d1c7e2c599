/* t_snapshot.c -- how a state gets from one replica to another: chunks that are lost, doubled,
 * late or damaged, senders that restart or vanish, disks that are slow or fail.
 *
 * Method: node 1 receives from node 2 or 3, without Paxos around them. Every frame passes
 * through its encoding and lies in a row until the test delivers it. What was installed must
 * be cell by cell what the sender has. Replay the random runs with:  SEED=<n> ./t_snapshot */
#include <stdlib.h>

#include "tests/lib/snapshot_rig.h"

/* --- rules --- */

static void a_state_comes_over_whole(void)
{
    begin();
    offer(2);
    run(2000);
    got_the_state_of(2);
    OK(nodes[2].store.reads > 5);
    end();
}

static void no_more_than_a_window_is_under_way(void)
{
    begin();
    begin_pulling(2);
    for (int i = 0; i < 10; i++) turns();
    IS(sent[FRAME_SNAPSHOT_CHUNK], SNAPSHOT_WINDOW);
    end();
}

static void one_chunk_is_sent_a_turn(void)
{
    begin();
    offer(2);
    deliver(0, false);
    deliver(0, false);
    OK(snapshots_again(&nodes[2].snapshots));
    turns();
    IS(sent[FRAME_SNAPSHOT_CHUNK], 1);
    end();
}

static void a_slow_disk_bounds_what_lies_in_memory(void)
{
    begin();
    nodes[1].store.held = 1000;
    begin_pulling(2);
    nodes[1].store.held = 1000; /* beginning had reset it */
    run(30000);
    IS(nodes[1].store.pieces, SNAPSHOT_WINDOW);
    OK(snapshots_receiving(&nodes[1].snapshots)); /* it is not the sender's fault */
    nodes[1].store.held = 0;
    run(3000);
    got_the_state_of(2);
    end();
}

static void a_lost_chunk_comes_again(void)
{
    begin();
    begin_pulling(2);
    drop(find(FRAME_SNAPSHOT_CHUNK, 2));
    run(2000);
    got_the_state_of(2);
    end();
}

static void lost_asks_are_repeated(void)
{
    begin();
    offer(2);
    deliver(0, false);
    drop_all();
    run(2000);
    got_the_state_of(2);
    end();
}

static void a_doubled_or_late_chunk_does_no_harm(void)
{
    begin();
    begin_pulling(2);
    deliver(find(FRAME_SNAPSHOT_CHUNK, 2), true);
    deliver(find(FRAME_SNAPSHOT_CHUNK, 2), true);
    deliver(frames_count - 1, false); /* the last one before the others */
    run(2000);
    got_the_state_of(2);
    end();
}

static void flip(struct flying *f)
{
    f->bytes.ptr[f->bytes.len - 1] ^= 1;
}

static void a_damaged_chunk_is_asked_for_again(void)
{
    begin();
    begin_pulling(2);
    flip(&frames[find(FRAME_SNAPSHOT_CHUNK, 2)]);
    run(2000);
    got_the_state_of(2);
    IS(nodes[1].store.begins, 1);
    end();
}

/* Its memory or its disk is bad, whatever its checksums say. */
static void a_sender_of_damage_is_left_for_another(void)
{
    begin();
    offer(2);
    for (int i = 0; i < 1000 && nodes[1].store.installs == 0; i++, now_ms += 10) {
        turns();
        for (uint32_t at = 0; at < frames_count; at++) {
            struct frame f;

            CHECK(frame_decode(buf_bytes(&frames[at].bytes), &f) == 0);
            if (frames[at].from == 2 && f.number == 5) flip(&frames[at]);
        }
        while (frames_count > 0) deliver(0, false);
        install_if_ready();
    }
    got_the_state_of(3);
    end();
}

static void a_state_that_is_of_another_slot_than_offered_is_refused(void)
{
    struct frame f = { .kind = FRAME_SNAPSHOT_OFFER, .slot = 51 };

    begin();
    snapshots_offer(&nodes[2].snapshots, now_ms, 1, 2);
    drop_all();
    nodes[2].snapshots.slot_open = 51; /* a broken sender */
    snapshots_offered(&nodes[1].snapshots, now_ms, chosen, 2, &f);
    run(1000);
    OK(nodes[1].store.installs == 0 || states_equal(&nodes[1], &nodes[3]));
    OK(nodes[1].snapshots.barred_ms[1] > now_ms);
    end();
}

/* As a sender computes it. */
static uint64_t sum_of(const struct snapshots *s, struct bytes cells)
{
    return hash_bytes(cells, hash_bytes(buf_bytes(&s->cursor), s->sum));
}

static void cells_out_of_order_are_refused(void)
{
    struct buf cells = { 0 };

    begin();
    begin_pulling(2);
    buf_put_bytes(&cells, BYTES_LIT("nb"));
    buf_put_bytes(&cells, BYTES_LIT("1"));
    buf_put_bytes(&cells, BYTES_LIT("na"));
    buf_put_bytes(&cells, BYTES_LIT("2"));
    const struct snapshots *s = &nodes[1].snapshots;
    struct frame f = { .kind = FRAME_SNAPSHOT_CHUNK,
                       .slot = 50,
                       .number = 1,
                       .sum_before = s->sum,
                       .sum = sum_of(s, buf_bytes(&cells)),
                       .items = buf_bytes(&cells) };
    snapshots_came(&nodes[1].snapshots, now_ms, 2, &f);
    IS(s->number, 0);
    IS(s->damages, 1);
    buf_fini(&cells);
    run(2000);
    got_the_state_of(2);
    end();
}

static void a_last_chunk_before_the_place_was_seen_is_refused(void)
{
    struct buf cells = { 0 };

    begin();
    begin_pulling(2);
    buf_put_bytes(&cells, BYTES_LIT("e"));
    buf_put_bytes(&cells, BYTES_LIT("1"));
    const struct snapshots *s = &nodes[1].snapshots;
    struct frame f = { .kind = FRAME_SNAPSHOT_CHUNK,
                       .slot = 50,
                       .number = 1,
                       .last = true,
                       .sum_before = s->sum,
                       .sum = sum_of(s, buf_bytes(&cells)),
                       .items = buf_bytes(&cells) };
    snapshots_came(&nodes[1].snapshots, now_ms, 2, &f);
    IS(s->phase, SNAPSHOT_PULLING);
    IS(s->number, 0);
    buf_fini(&cells);
    end();
}

static void a_sender_that_restarts_at_the_same_slot_goes_on(void)
{
    begin();
    begin_pulling(2);
    while (frames_count > 0) deliver(0, false);
    drop_all();
    restart(2);
    run(2000);
    got_the_state_of(2);
    IS(nodes[1].store.begins, 1);
    end();
}

static void a_sender_that_restarts_at_a_later_slot_begins_anew(void)
{
    begin();
    begin_pulling(2);
    while (frames_count > 0) deliver(0, false);
    restart(2);
    fill(&nodes[2], 55, CELLS + 5);
    run(3000);
    got_the_state_of(2);
    IS(nodes[1].store.begins, 2);
    end();
}

/* Only what was written behind is there again, and that may be less. */
static void a_sender_that_restarts_at_an_earlier_slot_is_of_use_too(void)
{
    begin();
    begin_pulling(2);
    while (frames_count > 0) deliver(0, false);
    restart(2);
    restart(3);
    fill(&nodes[2], 45, CELLS);
    fill(&nodes[3], 45, CELLS);
    run(5000);
    got_the_state_of(2);
    end();
}

static void when_a_sender_falls_silent_another_is_asked(void)
{
    begin();
    begin_pulling(2);
    while (frames_count > 0) deliver(0, false);
    restart(2);
    kv_overlay_clear(&nodes[2].state); /* it has nothing to offer any more */
    run(SNAPSHOT_SILENT_MS + 3000);
    got_the_state_of(3);
    end();
}

static void another_sender_with_the_same_slot_goes_on(void)
{
    begin();
    fill(&nodes[3], 50, CELLS);
    begin_pulling(2);
    while (frames_count > 0) deliver(0, false);
    restart(2);
    kv_overlay_clear(&nodes[2].state);
    run(SNAPSHOT_SILENT_MS + 3000);
    got_the_state_of(3);
    IS(nodes[1].store.begins, 1);
    end();
}

static void when_nobody_sends_the_stage_is_given_up(void)
{
    begin();
    begin_pulling(2);
    drop_all();
    for (uint64_t until = now_ms + SNAPSHOT_GIVE_UP_MS + 1000; now_ms < until;
         now_ms += 10) {
        turns();
        drop_all();
    }
    OK(!snapshots_receiving(&nodes[1].snapshots));
    IS(nodes[1].store.drops, 1);
    offer(3);
    run(2000);
    got_the_state_of(3);
    end();
}

static void what_is_not_needed_any_more_is_dropped(void)
{
    begin();
    begin_pulling(2);
    chosen = 50; /* it came by the log after all */
    turns();
    OK(!snapshots_receiving(&nodes[1].snapshots));
    IS(nodes[1].store.drops, 1);
    chosen = 70;
    offer(3);
    run(1000);
    IS(nodes[1].store.begins, 1);
    end();
}

static void a_disk_that_fails_ends_it_and_it_is_tried_again_later(void)
{
    begin();
    begin_pulling(2);
    nodes[1].store.code = ERR_DISK_FULL;
    run(100);
    OK(!snapshots_receiving(&nodes[1].snapshots));
    offer(2);
    run(100);
    OK(!snapshots_receiving(&nodes[1].snapshots));
    nodes[1].store.code = 0;
    run(SNAPSHOT_RETRY_MS);
    offer(2);
    run(2000);
    got_the_state_of(2);
    end();
}

static void the_sender_lets_go_when_nobody_asks(void)
{
    begin();
    begin_pulling(2);
    IS(snapshots_sending(&nodes[2].snapshots), 50);
    drop_all();
    nodes[1].snapshots.phase = SNAPSHOT_NONE; /* as if it were gone */
    now_ms += SNAPSHOT_HOLD_MS - 1;
    turns();
    IS(snapshots_sending(&nodes[2].snapshots), 50);
    now_ms += 1;
    turns();
    IS(snapshots_sending(&nodes[2].snapshots), 0);
    OK(!nodes[2].store.open);
    end();
}

static void the_sender_holds_on_until_the_state_is_installed(void)
{
    begin();
    begin_pulling(2);
    nodes[1].store.held = 1; /* the seal takes long */
    run(3 * SNAPSHOT_HOLD_MS);
    IS(nodes[1].snapshots.phase, SNAPSHOT_SEALING);
    IS(snapshots_sending(&nodes[2].snapshots), 50);
    nodes[1].store.held = 0;
    run(100);
    got_the_state_of(2);
    end();
}

static void a_new_state_is_opened_when_the_old_one_helps_nobody(void)
{
    begin();
    offer(2);
    drop_all();
    nodes[2].snapshots.pulls[0].asked_ms = 0; /* it went elsewhere */
    fill(&nodes[2], 90, CELLS);
    snapshots_offer(&nodes[2].snapshots, now_ms, 3, 70);
    IS(snapshots_sending(&nodes[2].snapshots), 90);
    end();
}

static void who_has_no_state_that_helps_offers_nothing(void)
{
    begin();
    snapshots_offer(&nodes[2].snapshots, now_ms, 1, 51);
    IS(frames_count, 0);
    OK(!nodes[2].store.open);
    kv_overlay_clear(&nodes[2].state);
    snapshots_offer(&nodes[2].snapshots, now_ms, 1, 2);
    IS(frames_count, 0);
    end();
}

static void who_receives_does_not_offer(void)
{
    begin();
    offer(2);
    deliver(0, false);
    drop_all();
    snapshots_offer(&nodes[1].snapshots, now_ms, 3, 1);
    IS(frames_count, 0);
    end();
}

static void two_receivers_are_served_from_one_copy(void)
{
    const struct frame ask = { .kind = FRAME_SNAPSHOT_ASK,
                               .slot = 50,
                               .limit = SNAPSHOT_WINDOW,
                               .sum = hash_u64(50, 0) };

    begin();
    begin_pulling(2);
    snapshots_asked(&nodes[2].snapshots, now_ms, 3, &ask);
    for (int i = 0; i < SNAPSHOT_WINDOW; i++) turns();
    IS(sent[FRAME_SNAPSHOT_CHUNK], 2 * SNAPSHOT_WINDOW);
    while (frames_count > 0) deliver(0, false);
    run(2000);
    got_the_state_of(2);
    end();
}

static void shuffle_and_lose(void)
{
    while (frames_count > 0) {
        uint32_t at = (uint32_t) rng_below(&rng, frames_count);

        if (rng_below(&rng, 10) == 0) {
            drop(at);
        } else {
            deliver(at, frames_count < FRAMES_MAX / 2 && rng_below(&rng, 10) == 0);
        }
        if (rng_below(&rng, 4) == 0) return; /* the rest is late */
    }
}

static void disturb(void)
{
    uint32_t id = 2 + (uint32_t) rng_below(&rng, 2);

    switch (rng_below(&rng, 60)) {
    case 0:
        restart(id);
        if (rng_below(&rng, 2) == 0) fill(&nodes[id], 40 + rng_below(&rng, 30), CELLS);
        break;
    case 1:
        restart(1);
        break;
    case 2:
        nodes[1].store.held = rng_below(&rng, 3);
        break;
    case 3:
        offer(id);
        break;
    case 4:
        if (frames_count > 0) flip(&frames[rng_below(&rng, frames_count)]);
        break;
    default:
        break;
    }
}

/* What is installed is the whole state of one slot: every cell says which. */
static void is_of_one_slot(uint64_t slot)
{
    char want[64];
    struct bytes got;

    for (int i = 0; i < CELLS; i++) {
        char key[16];

        snprintf(key, sizeof key, "n%03d", i);
        snprintf(want, sizeof want, "value %d at %d", i, (int) slot);
        OK(kv_get(&nodes[1].state.view, bytes_str(key), &got) &&
           bytes_equal(got, bytes_str(want)));
    }
}

static void random_storm(void)
{
    begin();
    for (int i = 0; i < 3000 && nodes[1].store.installs == 0; i++) {
        now_ms += rng_below(&rng, 60);
        turns();
        disturb();
        shuffle_and_lose();
        install_if_ready();
    }
    nodes[1].store.held = 0;
    drop_all();
    for (int i = 0; i < 20 && nodes[1].store.installs == 0; i++) {
        offer(3);
        run(3000);
    }
    IS(nodes[1].store.installs, 1);
    is_of_one_slot(chosen);
    end();
}

static void storms_end_with_one_whole_state(void)
{
    for (int i = 0; i < 100; i++) random_storm();
}

int main(void)
{
    const char *given = getenv("SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 1;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    TEST(a_state_comes_over_whole);
    TEST(no_more_than_a_window_is_under_way);
    TEST(one_chunk_is_sent_a_turn);
    TEST(a_slow_disk_bounds_what_lies_in_memory);
    TEST(a_lost_chunk_comes_again);
    TEST(lost_asks_are_repeated);
    TEST(a_doubled_or_late_chunk_does_no_harm);
    TEST(a_damaged_chunk_is_asked_for_again);
    TEST(a_sender_of_damage_is_left_for_another);
    TEST(a_state_that_is_of_another_slot_than_offered_is_refused);
    TEST(cells_out_of_order_are_refused);
    TEST(a_last_chunk_before_the_place_was_seen_is_refused);
    TEST(a_sender_that_restarts_at_the_same_slot_goes_on);
    TEST(a_sender_that_restarts_at_a_later_slot_begins_anew);
    TEST(a_sender_that_restarts_at_an_earlier_slot_is_of_use_too);
    TEST(when_a_sender_falls_silent_another_is_asked);
    TEST(another_sender_with_the_same_slot_goes_on);
    TEST(when_nobody_sends_the_stage_is_given_up);
    TEST(what_is_not_needed_any_more_is_dropped);
    TEST(a_disk_that_fails_ends_it_and_it_is_tried_again_later);
    TEST(the_sender_lets_go_when_nobody_asks);
    TEST(the_sender_holds_on_until_the_state_is_installed);
    TEST(a_new_state_is_opened_when_the_old_one_helps_nobody);
    TEST(who_has_no_state_that_helps_offers_nothing);
    TEST(who_receives_does_not_offer);
    TEST(two_receivers_are_served_from_one_copy);
    TEST(storms_end_with_one_whole_state);
    return tap_done();
}
