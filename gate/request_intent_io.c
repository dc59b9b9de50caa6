/* request_intent_io.c - an intent's writes, to one shard each. Loop thread. */
#include "common/buf.h"
#include "gate/gate.h"
#include "gate/request_intent_int.h"
#include "gate/scatter.h"
#include "gate/shard_bits.h"

/* One write under way. */
struct intent_write {
        struct request_intent *intent;
        struct scatter *scatter;
        struct buf result;
};

static struct intent_write *free_write(struct intent_write *w)
{
        scatter_free(w->scatter);
        buf_done(&w->result);
        free(w);
        return NULL;
}

static void on_result(void *arg, struct scatter *s, size_t i, const uint8_t *result, size_t n_bytes,
                      const grpc_slice *slice)
{
        struct intent_write *w = arg;

        buf_add(&w->result, result, n_bytes);
}

static void on_end(void *arg, struct scatter *s, const struct err *e)
{
        struct intent_write *w = arg;
        struct request_intent *ri = w->intent;
        const struct scatter_shard *sh = scatter_shard_at(s, 0);

        ri->io_data = NULL;
        request_intent_answered(ri, e, sh->replayed, sh->request_note, sh->n_note_bytes,
                                w->result.data, w->result.n_bytes);
        free_write(w);
}

static const struct scatter_events events = { .on_result = on_result, .on_end = on_end };

static void send(struct request_intent *ri, size_t shard, const struct tablet_execute *x)
{
        struct catalog *c = ri->use->plan->catalog;
        cleanup_(freep) uint64_t *bits = xcalloc(scatter_n_words(c), sizeof *bits);
        struct intent_write *w = xcalloc(1, sizeof *w);
        const struct scatter_options options = {
                .tablets = ri->gate->tablets,
                .catalog = c,
                .shard_bits = bits,
                .deadline_us = ri->deadline_us,
                .events = &events,
                .arg = w,
        };

        shard_bits_add(bits, shard);
        w->intent = ri;
        ri->io_data = w;
        w->scatter = scatter_execute(&options, x);
}

static void abandon(struct request_intent *ri)
{
        if (ri->io_data)
                free_write(ri->io_data);
        ri->io_data = NULL;
}

const struct request_intent_io request_intent_tablets = { .send = send, .abandon = abandon };
