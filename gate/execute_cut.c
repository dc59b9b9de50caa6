/* execute_cut.c - reads of several shards, or several reads of one, see one moment: what shards
 * send is held back until their snapshots are known to make a cut (txn/cut.h), and thrown away
 * where a shard has to be pinned again. What is held is bounded by the windows of the requests, and
 * of answers in one piece by the limits on those. Loop thread. */
#include <assert.h>
#include <string.h>

#include "gate/execute_int.h"
#include "gate/shard_bits.h"
#include "gate/stats.h"

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
};

/* ---- the beginning */

/* The shard's place among those of the cut. */
static size_t place_of(const struct execute_cut *c, uint32_t shard)
{
        return c->places ? c->places[shard] - 1 : shard_bits_rank(c->shards, shard);
}

/* All shards of all parts that are sent at once; true: one of them in several parts. */
static bool unite(const struct execution *x, uint64_t *ret_bits, size_t n_words)
{
        bool is_shared = false;

        memset(ret_bits, 0, n_words * sizeof(*ret_bits));
        for (size_t i = 0; i < x->n_parts; i++) {
                for (size_t k = 0; k < n_words && !execute_rounds_waits(x, i); k++) {
                        is_shared = is_shared || (ret_bits[k] & x->parts[i].bits[k]);
                        ret_bits[k] |= x->parts[i].bits[k];
                }
        }
        return is_shared;
}

/* Shards may come later, too. */
static bool make_room(struct execution *x, struct execute_cut *c, struct cut_pin **ret_pins)
{
        size_t n = shard_map_size(catalog_shards(x->catalog));
        uint32_t n_places = 0;

        c->places = arena_calloc(x->arena, n, sizeof(*c->places));
        *ret_pins = arena_calloc(x->arena, n, sizeof(**ret_pins));
        for (size_t i = 0; c->places && i < n; i++) {
                if (shard_bits_has(c->shards, i))
                        c->places[i] = ++n_places;
        }
        return c->places && *ret_pins;
}

enum err_code execute_cut_begin(struct execution *x, struct err *reterr)
{
        size_t n_words = scatter_n_words(x->catalog), n_shards;
        uint64_t *shards = execute_alloc_bits(x), *again = execute_alloc_bits(x);
        struct cut_pin *pins = NULL;
        struct execute_cut *c = NULL;
        bool is_shared, has_rounds = execute_has_rounds(x);

        x->cut = NULL;
        if (shards && again) {
                is_shared = unite(x, shards, n_words);
                n_shards = shard_bits_count(shards, n_words);
                if (n_shards < 2 && !is_shared && !has_rounds)
                        return ERR_OK;
                c = arena_calloc(x->arena, 1, sizeof(*c));
                if (c)
                        c->shards = shards;
                if (c && has_rounds)
                        make_room(x, c, &pins);
                else
                        pins = arena_calloc(x->arena, n_shards, sizeof(*pins));
        }
        if (!c || !pins || (has_rounds && !c->places))
                return err_set(reterr, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                               "the statement needs too much memory");
        cut_init(&c->cut, pins, n_shards, hlc_now(&x->gate->hlc),
                 x->gate->options.max_skew_ms * 1000 / 4);
        /* Of rounds, each is pinned anew, which is cheap and goes well unless somebody writes to
         * the shard in between; then there is a second try with a name. */
        if (has_rounds)
                c->cut.read_ts = hlc_now(&x->gate->hlc);
        c->pin = is_shared || (has_rounds && x->n_lost) ? ++x->gate->last_pin : 0;
        c->again = again;
        c->last = &c->first;
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

static void accept(struct execution *x)
{
        struct execute_cut *c = x->cut;
        size_t n_parts = x->n_parts;
        struct held_rows *h;

        metric_add(x->gate->metrics->cuts, 1);
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

static void pin_again(struct execution *x)
{
        struct execute_cut *c = x->cut;
        size_t n_words = scatter_n_words(x->catalog);
        struct tablet_execute request;

        metric_add(x->gate->metrics->cut_rounds, 1);
        metric_add(x->gate->metrics->cut_repins, c->cut.n_unknown);
        for (size_t i = 0; i < x->n_parts; i++) {
                struct execution_part *part = &x->parts[i];

                if (!part->scatter)
                        continue;
                for (size_t k = 0; k < n_words; k++)
                        c->again[k] = 0;
                for (size_t k = 0; k < scatter_n_shards(part->scatter); k++) {
                        uint32_t shard = scatter_shard_at(part->scatter, k)->index;

                        if (!c->cut.pins[place_of(c, shard)].is_known)
                                shard_bits_add(c->again, shard);
                }
                if (!shard_bits_count(c->again, n_words))
                        continue;
                drop_held(x, part, c->again);
                execute_make_read(x, i, &request);
                scatter_pin_again(part->scatter, c->again, &request, x->request.deadline_us);
        }
}

static void lose(struct execution *x)
{
        struct err e;

        err_set(&e, ERR_UNAVAILABLE, "SNAPSHOT_LOST",
                "the shards could not be read at one moment after %u attempts", x->cut->cut.round);
        x->n_lost++;
        execute_fail(x, &e);
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

        if (!cut->places || cut->places[shard])
                return cut_on_pin(&cut->cut, place_of(cut, shard), c, e, hlc_now(hlc),
                                  hlc_from_us(hlc->now_us()));
        step = cut_on_late_pin(&cut->cut, c, e);
        if (step == CUT_WAIT)
                cut->places[shard] = (uint32_t)cut->cut.n_pins;
        return step;
}

void execute_cut_on_pin(struct execution_part *part, size_t shard, uint64_t c, uint64_t e)
{
        struct execution *x = part->x;
        struct hlc *hlc = &x->gate->hlc;
        struct err skew;

        if (!x->cut)
                return;
        if (hlc_check(hlc, c, &skew)) {
                execute_fail(x, &skew);
                return;
        }
        switch (add_pin(x, scatter_shard_at(part->scatter, shard)->index, c, e)) {
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
