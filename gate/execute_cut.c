/* execute_cut.c - reads of several shards, or several reads of one, see one moment: what shards
 * send is held back until their snapshots are known to make a cut (txn/cut.h), and thrown away
 * where a shard has to be pinned again. What is held is bounded by the windows of the requests, and
 * of answers in one piece by the limits on those. Loop thread. */
#include <assert.h>
#include <string.h>

#include "gate/execute_int.h"
#include "gate/session.h"
#include "gate/shard_bits.h"
#include "gate/stats.h"
#include "gate/transaction.h"
#include "txn/cut.h"

/* Rows that wait for the cut. */
struct held_rows {
        struct held_rows *next;
        struct execution_part *part;
        size_t shard; /* of the part's scatter */
        grpc_slice rows;
};

/* In the execution's arena. */
struct execute_cut {
        struct cut cut;
        uint64_t pin;     /* the name; 0: no shard is read twice */
        uint64_t *shards; /* bits of all that take part */
        uint64_t *again;  /* scratch */
        uint32_t *places; /* with rounds: of each shard that has been pinned, plus 1; else NULL */
        struct held_rows *first, **last;
        size_t n_held_bytes;
        size_t n_counted_bytes; /* of them, those in gate.n_result_bytes */
        uint32_t
            *rounds;    /* of each shard, where pins are kept: the one it is pinned in; else NULL */
        bool has_seen;  /* what was seen before is a pin of the cut … */
        size_t seen_at; /* … at this place */
};

/* ---- the beginning */

/* The shard's place among those of the cut. */
static size_t place_of(const struct execute_cut *c, uint32_t shard)
{
        return c->places ? c->places[shard] - 1 : shard_bits_rank(c->shards, shard);
}

/* Those that the transaction has pinned already are of its moment; and those that take part in it
 * are read without a pin. */
static void leave_out_known(const struct execution *x, uint64_t *bits)
{
        const struct transaction *t = x->transaction;

        for (uint32_t i = 0; t && i < t->n_shards; i++)
                if (transaction_takes_part(t, i) || transaction_is_pinned(t, i))
                        shard_bits_remove(bits, i);
}

static bool waits(const struct execution *x, size_t slot)
{
        return x->parts[slot].takes_part || execute_rounds_waits(x, x->parts[slot].index);
}

/* All shards of all parts that are sent at once; true: one of them in several parts. */
static bool unite(const struct execution *x, uint64_t *ret_bits, size_t n_words)
{
        bool is_shared = false;

        memset(ret_bits, 0, n_words * sizeof(*ret_bits));
        for (size_t i = 0; i < x->n_parts; i++) {
                for (size_t k = 0; k < n_words && !waits(x, i); k++) {
                        is_shared = is_shared || (ret_bits[k] & x->parts[i].bits[k]);
                        ret_bits[k] |= x->parts[i].bits[k];
                }
        }
        leave_out_known(x, ret_bits);
        return is_shared;
}

/* Shards may come later, too. */
static bool make_room(struct execution *x, struct execute_cut *c, struct cut_pin **ret_pins)
{
        size_t n = shard_map_size(catalog_shards(x->catalog));
        uint32_t n_places = 0;

        c->places = arena_calloc(x->arena, n, sizeof(*c->places));
        *ret_pins = arena_calloc(x->arena, n + 1, sizeof(**ret_pins));
        for (size_t i = 0; c->places && i < n; i++) {
                if (shard_bits_has(c->shards, i))
                        c->places[i] = ++n_places;
        }
        return c->places && *ret_pins;
}

static struct execute_cut *new_cut(struct execution *x, uint64_t *shards)
{
        struct execute_cut *c = arena_calloc(x->arena, 1, sizeof(*c));

        if (!c)
                return NULL;
        c->shards = shards;
        c->again = execute_alloc_bits(x);
        c->last = &c->first;
        return c->again ? c : NULL;
}

/* What the transaction, or the session, has seen so far, is as another shard that is pinned
 * already: false if there is nothing. */
static bool has_seen(const struct execution *x, uint64_t *ret_c, uint64_t *ret_e)
{
        *ret_c = x->session ? x->session->seen_ts : 0;
        *ret_e = UINT64_MAX;
        if (x->transaction)
                coordinator_seen(x->transaction->coordinator, ret_c, ret_e);
        return *ret_c > 0 || *ret_e < UINT64_MAX;
}

/* For n shards; pins has room for one more. */
static void init_cut(struct execution *x, struct execute_cut *c, struct cut_pin *pins, size_t n)
{
        struct hlc *hlc = &x->gate->hlc;
        uint64_t now = hlc_now(hlc), seen_c, seen_e;

        c->has_seen = has_seen(x, &seen_c, &seen_e);
        c->seen_at = n;
        if (now < seen_c)
                now = seen_c;
        cut_init(&c->cut, pins, n + c->has_seen, now, x->gate->options.max_skew_ms * 1000 / 4);
        if (x->session || x->transaction || execute_has_rounds(x))
                c->cut.read_ts = now;
        if (c->has_seen)
                (void)cut_on_pin(&c->cut, n, seen_c, seen_e, now, hlc_from_us(hlc->now_us()));
}

enum err_code execute_cut_begin(struct execution *x, struct err *reterr)
{
        size_t n_words = scatter_n_words(x->catalog), n_shards;
        uint64_t *shards = execute_alloc_bits(x);
        bool is_shared, is_kept = execute_keeps_pins(x), has_rounds = execute_has_rounds(x);
        struct cut_pin *pins = NULL;
        struct execute_cut *c;

        x->cut = NULL;
        if (!shards)
                return execute_no_memory(reterr);
        is_shared = unite(x, shards, n_words);
        n_shards = shard_bits_count(shards, n_words);
        if (!n_shards ||
            (n_shards < 2 && !is_shared && !has_rounds && !x->session && !x->transaction))
                return ERR_OK;
        c = new_cut(x, shards);
        if (c && has_rounds)
                make_room(x, c, &pins);
        else if (c)
                pins = arena_calloc(x->arena, n_shards + 1, sizeof(*pins));
        if (c && is_kept)
                c->rounds = arena_calloc(x->arena, x->transaction->n_shards, sizeof(*c->rounds));
        if (!c || !pins || (has_rounds && !c->places) || (is_kept && !c->rounds))
                return execute_no_memory(reterr);
        init_cut(x, c, pins, n_shards);
        /* Of rounds, each is pinned anew, which is cheap and goes well unless somebody writes to
         * the shard in between; then there is a second try with a name. */
        c->pin = is_shared || is_kept || (has_rounds && x->n_lost) ? ++x->gate->last_pin : 0;
        x->cut = c;
        return ERR_OK;
}

void execute_cut_fill(const struct execution *x, struct tablet_execute *request)
{
        const struct execute_cut *c = x->cut;

        if (!c)
                return;
        request->read_ts = c->cut.read_ts;
        if (c->cut.is_accepted && cut_time(&c->cut) > request->read_ts)
                request->read_ts = cut_time(&c->cut);
        request->pin = c->pin;
        request->pin_round = c->cut.round;
        request->keep_pin = execute_keeps_pins(x);
}

/* ---- rows that wait */

static void free_held(struct execution *x, struct held_rows *h)
{
        struct execute_cut *c = x->cut;
        size_t n_bytes = GRPC_SLICE_LENGTH(h->rows);

        c->n_held_bytes -= n_bytes;
        if (c->n_counted_bytes) {
                c->n_counted_bytes -= n_bytes;
                x->gate->n_result_bytes -= n_bytes;
        }
        grpc_slice_unref(h->rows);
        free(h);
}

/* Of an answer in one piece: they are told of before they are given. */
static enum err_code count_held(struct execution *x, size_t n_bytes, struct err *reterr)
{
        struct execute_cut *c = x->cut;

        c->n_held_bytes += n_bytes;
        if (x->finish || x->request.streaming || x->discard_rows)
                return ERR_OK;
        c->n_counted_bytes += n_bytes;
        x->gate->n_result_bytes += n_bytes;
        return execute_check_size(x, c->n_held_bytes, 0, reterr);
}

bool execute_cut_hold(struct execution_part *part, size_t shard, grpc_slice rows)
{
        struct execution *x = part->x;
        struct execute_cut *c = x->cut;
        struct held_rows *h;
        struct err e;

        if (!c || c->cut.is_accepted)
                return false;
        h = xmalloc(sizeof(*h));
        *h = (struct held_rows){ .part = part, .shard = shard, .rows = grpc_slice_ref(rows) };
        *c->last = h;
        c->last = &h->next;
        if (count_held(x, GRPC_SLICE_LENGTH(rows), &e))
                execute_fail(x, &e);
        return true;
}

/* Of a part's shards with these bits. */
static void drop_held(struct execution *x, const struct execution_part *part, const uint64_t *bits)
{
        struct execute_cut *c = x->cut;
        struct held_rows **at = &c->first, *h;

        while ((h = *at)) {
                uint32_t shard = scatter_shard_at(h->part->scatter, h->shard)->index;

                if (h->part != part || !shard_bits_has(bits, shard)) {
                        at = &h->next;
                        continue;
                }
                *at = h->next;
                free_held(x, h);
        }
        c->last = at;
}

/* ---- the cut */

static bool is_in_cut(const struct execute_cut *c, uint32_t shard)
{
        return c->places ? c->places[shard] : shard_bits_has(c->shards, shard);
}

/* The moment is the transaction's, and the session's, from now on. */
static void note_seen(struct execution *x)
{
        struct execute_cut *c = x->cut;

        if (x->session)
                session_note_seen(x->session, cut_time(&c->cut));
        for (uint32_t i = 0; x->transaction && i < x->transaction->n_shards; i++) {
                const struct cut_pin *p;

                if (!is_in_cut(c, i))
                        continue;
                p = &c->cut.pins[place_of(c, i)];
                transaction_note_pin(x->transaction, i, c->pin, c->rounds ? c->rounds[i] : 0, p->c,
                                     p->e);
        }
        /* They go when the transaction ends. */
        if (execute_keeps_pins(x))
                c->pin = 0;
}

static void accept(struct execution *x)
{
        struct execute_cut *c = x->cut;
        size_t n_parts = x->n_parts;
        struct held_rows *h;

        metric_add(x->gate->metrics->cuts, 1);
        note_seen(x);
        while ((h = c->first)) {
                struct execution_part *part = h->part;
                size_t shard = h->shard;
                grpc_slice rows = grpc_slice_ref(h->rows);

                c->first = h->next;
                free_held(x, h);
                if (!execute_take_rows(part, shard, rows))
                        return;
        }
        c->last = &c->first;
        /* x may be gone with the last one: only then all parts have ended. */
        for (size_t i = 0; i < n_parts; i++) {
                if (x->parts[i].scatter)
                        scatter_close(x->parts[i].scatter);
        }
}

static void lose(struct execution *x)
{
        struct err e;

        if (x->transaction && !transaction_is_untouched(x->transaction))
                err_set(
                    &e, ERR_ABORTED, "READ_CONFLICT",
                    "what is read now is not of the moment that the transaction has seen; begin "
                    "again");
        else
                err_set(&e, ERR_UNAVAILABLE, "SNAPSHOT_LOST",
                        "the shards could not be read at one moment after %u attempts",
                        x->cut->cut.round);
        x->n_lost++;
        execute_fail(x, &e);
}

static void pin_again(struct execution *x)
{
        struct execute_cut *c = x->cut;
        size_t n_words = scatter_n_words(x->catalog);
        struct tablet_execute request;

        if (c->has_seen && !c->cut.pins[c->seen_at].is_known) {
                lose(x);
                return;
        }
        metric_add(x->gate->metrics->cut_rounds, 1);
        metric_add(x->gate->metrics->cut_repins, c->cut.n_unknown);
        for (size_t i = 0; i < x->n_parts; i++) {
                struct execution_part *part = &x->parts[i];

                if (!part->scatter || part->takes_part)
                        continue;
                for (size_t k = 0; k < n_words; k++)
                        c->again[k] = 0;
                for (size_t k = 0; k < scatter_n_shards(part->scatter); k++) {
                        uint32_t shard = scatter_shard_at(part->scatter, k)->index;

                        if (is_in_cut(c, shard) && !c->cut.pins[place_of(c, shard)].is_known)
                                shard_bits_add(c->again, shard);
                }
                if (!shard_bits_count(c->again, n_words))
                        continue;
                drop_held(x, part, c->again);
                execute_make_read(x, i, &request);
                scatter_pin_again(part->scatter, c->again, &request, x->request.deadline_us);
        }
}

bool execute_cut_is_accepted(const struct execution *x)
{
        return x->cut && x->cut->cut.is_accepted;
}

/* A shard that no part has read before has to fit the others as they are. */
static enum cut_step add_pin(struct execution *x, uint32_t shard, uint64_t c, uint64_t e)
{
        struct execute_cut *cut = x->cut;
        struct hlc *hlc = &x->gate->hlc;
        enum cut_step step;

        if (cut->rounds)
                cut->rounds[shard] = cut->cut.round;
        if (!cut->places || cut->places[shard])
                return cut_on_pin(&cut->cut, place_of(cut, shard), c, e, hlc_now(hlc),
                                  hlc_from_us(hlc->now_us()));
        step = cut_on_late_pin(&cut->cut, c, e);
        if (step == CUT_WAIT)
                cut->places[shard] = (uint32_t)cut->cut.n_pins;
        if (step == CUT_WAIT && x->session)
                session_note_seen(x->session, c);
        return step;
}

/* A snapshot that the transaction has kept must be the one it was. */
static void check_kept(struct execution *x, uint32_t shard, uint64_t c)
{
        struct err e;

        if (x->transaction->shards[shard].pin_c == c)
                return;
        err_set(&e, ERR_ABORTED, "READ_CONFLICT",
                "a snapshot that the transaction reads from is gone; begin again");
        execute_fail(x, &e);
}

void execute_cut_on_pin(struct execution_part *part, size_t shard, uint64_t c, uint64_t e)
{
        struct execution *x = part->x;
        struct hlc *hlc = &x->gate->hlc;
        uint32_t at = scatter_shard_at(part->scatter, shard)->index;
        struct err skew;

        if (x->transaction && transaction_is_pinned(x->transaction, at)) {
                check_kept(x, at, c);
                return;
        }
        if (!x->cut)
                return;
        if (hlc_check(hlc, c, &skew)) {
                execute_fail(x, &skew);
                return;
        }
        switch (add_pin(x, at, c, e)) {
        case CUT_WAIT:
                break;
        case CUT_ACCEPTED:
                accept(x);
                break;
        case CUT_AGAIN:
                pin_again(x);
                break;
        case CUT_LOST:
                lose(x);
                break;
        }
}

void execute_cut_release(struct execution *x)
{
        struct execute_cut *c = x->cut;
        const struct scatter *done[8];
        size_t n_done = 0;

        if (!c || !c->pin)
                return;
        for (size_t i = 0; i < x->n_parts; i++) {
                if (!x->parts[i].scatter)
                        continue;
                scatter_release_pin(x->parts[i].scatter, c->pin, done, n_done);
                if (n_done < ARRAY_LEN(done))
                        done[n_done++] = x->parts[i].scatter;
        }
        c->pin = 0;
}

void execute_cut_stop(struct execution *x)
{
        struct execute_cut *c = x->cut;
        struct held_rows *h;

        if (!c)
                return;
        execute_cut_release(x);
        while ((h = c->first)) {
                c->first = h->next;
                free_held(x, h);
        }
        x->cut = NULL;
}
