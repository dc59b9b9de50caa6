/* scatter.c - groups shards by the tablet that serves them and gathers what they say. Everything on
 * the loop thread. */
#include "gate/scatter.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "gate/shard_bits.h"
#include "gate/transaction.h"

/* One request to one tablet. */
struct scatter_call {
        struct tablet_call call;
        struct scatter *scatter;
        const char *tablet_id;
        uint64_t pin; /* of a transaction, that its shards are read by; 0: none */
        uint32_t pin_round;
        const uint32_t *order; /* the request's shards, as indexes into the scatter's */
        uint32_t n;
        struct scatter_call
            *next; /* of those that pin again, which are malloc'ed with their order */
};

/* Owner: the loop thread. Its arrays lie behind it in one allocation. */
struct scatter {
        struct tablets *tablets;
        struct catalog *catalog;
        struct transaction *transaction; /* NULL: none */
        const struct scatter_events *events;
        void *arg;
        bool keep_going, is_open, takes_part;
        uint64_t savepoint;
        bool *freed;       /* set when it is */
        struct err *error; /* the first */
        uint32_t n_shards, n_first_calls;
        uint32_t n_calls_left;
        struct scatter_shard *shards; /* those of a first call lie together */
        struct tablet_shard *names;   /* of the same shards */
        uint32_t *order;              /* 0, 1, 2 … */
        struct scatter_call *calls;
        struct scatter_call *again; /* further calls */
};

size_t scatter_n_words(const struct catalog *c)
{
        return shard_bits_words(shard_map_size(catalog_shards(c)));
}

bool scatter_is_schema_changed(const struct err *e)
{
        return strcmp(e->reason, "SCHEMA_CHANGED") == 0;
}

bool scatter_is_not_served(const struct err *e)
{
        return e->code == ERR_UNAVAILABLE;
}

static void end_scatter(struct scatter *s)
{
        static const struct err no_error = ERR_INIT;

        s->events->on_end(s->arg, s, s->error ? s->error : &no_error);
}

/* Notes the failure of shard i; the first one is the whole scatter's. */
static void note_failure(struct scatter *s, struct scatter_shard *sh, const struct err *e)
{
        sh->ended = true;
        sh->failure = xmalloc(sizeof(*sh->failure));
        *sh->failure = *e;
        snprintf(sh->failure->shard, sizeof(sh->failure->shard), "%s/%s", catalog_name(s->catalog),
                 sh->entry->name);
        if (!s->error) {
                s->error = xmalloc(sizeof(*s->error));
                *s->error = *sh->failure;
        }
}

static void abandon_calls(struct scatter *s)
{
        for (uint32_t i = 0; i < s->n_first_calls; i++)
                tablet_call_abandon(&s->calls[i].call);
        for (struct scatter_call *c = s->again; c; c = c->next)
                tablet_call_abandon(&c->call);
}

/* What the last piece of a shard tells, and the notes of any. */
static void take_numbers(struct scatter_shard *sh, const struct tablet_reply *r)
{
        sh->bytes += r->n_result_bytes;
        sh->pinned = sh->pinned || r->pinned;
        if (r->end) {
                sh->ended = true;
                sh->rows = r->rows;
                sh->elapsed_us = r->elapsed_us;
                sh->commit_ts = r->commit_ts;
                sh->replayed = r->replayed;
        }
        if (r->n_note_bytes && !sh->request_note) {
                sh->request_note = xmalloc(r->n_note_bytes);
                memcpy(sh->request_note, r->request_note, r->n_note_bytes);
                sh->n_note_bytes = r->n_note_bytes;
        }
}

/* Rows, then the pin: each may free the scatter. */
static void pass_on(struct scatter *s, struct scatter_shard *sh, const struct tablet_reply *r)
{
        size_t i = (size_t)(sh - s->shards);
        bool freed = false;

        s->freed = &freed;
        if (r->n_result_bytes && s->events->on_result)
                s->events->on_result(s->arg, s, i, r->result, r->n_result_bytes, r->slice);
        if (!freed && r->pinned && s->events->on_pin)
                s->events->on_pin(s->arg, s, i, r->cut_c, r->cut_e);
        if (!freed)
                s->freed = NULL;
}

static void end_early(struct scatter *s)
{
        if (s->keep_going)
                return;
        abandon_calls(s);
        end_scatter(s);
}

/* Has the tablet taken a request of a transaction for one of its own? */
static bool is_unheard(const struct scatter *s, const struct tablet_reply *r)
{
        return s->takes_part && r->end && !r->incarnation;
}

static void on_call_reply(struct tablet_call *call, const struct tablet_reply *r)
{
        struct scatter_call *sc = CONTAINER_OF(call, struct scatter_call, call);
        struct scatter *s = sc->scatter;
        struct scatter_shard *sh = &s->shards[sc->order[r->shard]];
        struct err unpinned;

        if (sh->call != sc) {
                tablet_call_credit(call, r->n_result_bytes);
                return;
        }
        if (sh->ended)
                return;
        if (s->takes_part && r->end)
                transaction_note_reply(s->transaction, sh->index, r, r->failure);
        take_numbers(sh, r);
        if (!r->failure && !is_unheard(s, r) && (!sh->ended || sh->pinned || !s->is_open)) {
                pass_on(s, sh, r);
                return;
        }
        err_set(&unpinned, ERR_INTERNAL, "BAD_REPLY", "tablet %s has not told what its rows show",
                sc->tablet_id);
        note_failure(s, sh, r->failure ? r->failure : &unpinned);
        end_early(s);
}

static void check_end(struct scatter *s)
{
        if (s->error && !s->keep_going) {
                abandon_calls(s);
                end_scatter(s);
        } else if (!s->n_calls_left && (!s->is_open || s->error)) {
                end_scatter(s);
        }
}

static void on_call_end(struct tablet_call *call, const struct err *e)
{
        struct scatter_call *sc = CONTAINER_OF(call, struct scatter_call, call);
        struct scatter *s = sc->scatter;

        s->n_calls_left--;
        for (uint32_t i = 0; e->code && i < sc->n; i++) {
                struct scatter_shard *sh = &s->shards[sc->order[i]];

                if (sh->call != sc || sh->ended)
                        continue;
                if (s->takes_part)
                        transaction_note_lost(s->transaction, sh->index);
                note_failure(s, sh, e);
        }
        check_end(s);
}

static const struct tablet_call_events call_events = { on_call_reply, on_call_end };

static bool fits(const struct scatter *s, const struct scatter_call *c, const char *tablet_id,
                 size_t shard)
{
        const struct transaction *t = s->takes_part ? NULL : s->transaction;

        if (c->tablet_id != tablet_id && strcmp(c->tablet_id, tablet_id) != 0)
                return false;
        return !t || (c->pin == t->shards[shard].pin &&
                      (!c->pin || c->pin_round == t->shards[shard].round));
}

static void begin_call(struct scatter *s, const char *tablet_id, size_t shard)
{
        struct scatter_call *c = &s->calls[s->n_first_calls++];

        c->tablet_id = tablet_id;
        if (!s->transaction || s->takes_part)
                return;
        c->pin = s->transaction->shards[shard].pin;
        c->pin_round = s->transaction->shards[shard].round;
}

/* Puts the shards whose bits are set into one call per tablet, and pin of a transaction. */
static void group_shards(struct scatter *s, const uint64_t *bits)
{
        const struct shard_map *map = catalog_shards(s->catalog);
        size_t n = shard_map_size(map);
        uint32_t at = 0;

        for (size_t i = 0; i < n; i++) {
                const struct shard_map_entry *e = shard_map_at(map, i);
                uint32_t k = 0;

                if (!shard_bits_has(bits, i))
                        continue;
                while (k < s->n_first_calls && !fits(s, &s->calls[k], e->tablet, i))
                        k++;
                if (k == s->n_first_calls)
                        begin_call(s, e->tablet, i);
                s->calls[k].n++;
        }
        for (uint32_t k = 0; k < s->n_first_calls; k++) {
                s->calls[k].order = s->order + at;
                at += s->calls[k].n;
                s->calls[k].n = 0;
        }
        for (size_t i = 0; i < n; i++) {
                const struct shard_map_entry *e = shard_map_at(map, i);
                struct scatter_call *c = s->calls;

                if (!shard_bits_has(bits, i))
                        continue;
                while (!fits(s, c, e->tablet, i))
                        c++;
                at = (uint32_t)(c->order - s->order) + c->n++;
                s->order[at] = at;
                s->shards[at].call = c;
                s->shards[at].index = (uint32_t)i;
                s->shards[at].entry = e;
                s->names[at] = (struct tablet_shard){ e->name, e->epoch };
        }
}

static size_t align_up(size_t n)
{
        return (n + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
}

static struct scatter *make_scatter(const struct scatter_options *o)
{
        size_t n = shard_bits_count(o->shard_bits, scatter_n_words(o->catalog));
        size_t calls_at, shards_at, names_at, order_at;
        struct scatter *s;

        assert(n);
        calls_at = align_up(sizeof(*s));
        shards_at = align_up(calls_at + n * sizeof(struct scatter_call));
        names_at = align_up(shards_at + n * sizeof(struct scatter_shard));
        order_at = align_up(names_at + n * sizeof(struct tablet_shard));
        s = xcalloc(1, order_at + n * sizeof(uint32_t));
        s->calls = (void *)((char *)s + calls_at);
        s->shards = (void *)((char *)s + shards_at);
        s->names = (void *)((char *)s + names_at);
        s->order = (void *)((char *)s + order_at);
        s->tablets = o->tablets;
        s->catalog = catalog_ref(o->catalog);
        s->events = o->events;
        s->arg = o->arg;
        s->keep_going = o->keep_going;
        s->is_open = o->is_open;
        s->transaction = o->transaction;
        s->n_shards = (uint32_t)n;
        s->takes_part = o->takes_part;
        s->savepoint = o->savepoint;
        group_shards(s, o->shard_bits);
        s->n_calls_left = s->n_first_calls;
        for (uint32_t i = 0; i < s->n_first_calls; i++) {
                s->calls[i].scatter = s;
                s->calls[i].call.events = &call_events;
        }
        return s;
}

static unsigned pin_lane(uint64_t pin)
{
        return (unsigned)(pin ^ pin >> 32);
}

/* A shard always goes the same way, and neighbours are spread; but all that names a pin goes one
 * way. */
static unsigned lane_of(const struct scatter *s, const struct scatter_call *c, uint64_t pin)
{
        if (s->transaction)
                return s->transaction->lane;
        return pin ? pin_lane(pin) : s->shards[c->order[0]].index * 2654435761U >> 16;
}

static void send_execute(struct scatter *s, struct scatter_call *c,
                         const struct tablet_shard *names, const struct tablet_execute *x,
                         int64_t deadline_us)
{
        tablet_call_execute(&c->call, s->tablets, tablets_find(s->tablets, c->tablet_id),
                            lane_of(s, c, x->pin), names, c->n, x, deadline_us);
}

/* What the transaction knows of the call's shards, malloc'ed. */
static struct tablet_part *take_parts(const struct scatter *s, const struct scatter_call *c)
{
        struct tablet_part *parts = xcalloc(c->n, sizeof(*parts));

        for (uint32_t i = 0; i < c->n; i++)
                parts[i] = transaction_take_part(s->transaction, s->shards[c->order[i]].index,
                                                 s->savepoint);
        return parts;
}

static void send_part(struct scatter *s, struct scatter_call *c, const struct tablet_execute *x,
                      int64_t deadline_us)
{
        cleanup_(freep) struct tablet_part *parts = take_parts(s, c);
        const struct tablet_participation p = {
                .id = s->transaction->id,
                .age = s->transaction->age.first_start,
                .parts = parts,
                .savepoint = s->savepoint,
        };
        struct tablet_execute copy = *x;

        copy.transaction = &p;
        copy.cheap = false;
        send_execute(s, c, &s->names[c->order[0]], &copy, deadline_us);
}

struct scatter *scatter_execute(const struct scatter_options *o, const struct tablet_execute *x)
{
        struct scatter *s = make_scatter(o);

        for (uint32_t i = 0; i < s->n_first_calls; i++) {
                struct scatter_call *c = &s->calls[i];
                struct tablet_execute copy = *x;

                if (c->pin) {
                        copy.pin = c->pin;
                        copy.pin_round = c->pin_round;
                        copy.keep_pin = true;
                }
                if (s->takes_part)
                        send_part(s, c, x, o->deadline_us);
                else
                        send_execute(s, c, &s->names[c->order[0]], &copy, o->deadline_us);
        }
        return s;
}

struct scatter *scatter_undo(const struct scatter_options *o, const struct tablet_transaction *x)
{
        struct scatter *s = make_scatter(o);

        for (uint32_t i = 0; i < s->n_first_calls; i++) {
                struct scatter_call *c = &s->calls[i];
                cleanup_(freep) struct tablet_part *parts = take_parts(s, c);
                struct tablet_transaction copy = *x;

                copy.parts = parts;
                tablet_call_transaction(
                    &c->call, s->tablets, tablets_find(s->tablets, c->tablet_id),
                    s->transaction->lane, &s->names[c->order[0]], c->n, &copy, o->deadline_us);
        }
        return s;
}

struct scatter *scatter_change_schema(const struct scatter_options *o,
                                      const struct tablet_change_schema *x)
{
        struct scatter *s = make_scatter(o);

        for (uint32_t i = 0; i < s->n_first_calls; i++) {
                struct scatter_call *c = &s->calls[i];

                tablet_call_change_schema(&c->call, s->tablets,
                                          tablets_find(s->tablets, c->tablet_id),
                                          &s->names[c->order[0]], c->n, x, o->deadline_us);
        }
        return s;
}

/* ---- pinning again */

static void void_shard(struct scatter_shard *sh, struct scatter_call *call)
{
        sh->ended = sh->pinned = false;
        sh->rows = sh->bytes = sh->elapsed_us = 0;
        sh->call = call;
}

/* A call for those shards of `old` that are wanted; NULL: there are none. */
static struct scatter_call *split_call(struct scatter *s, struct scatter_call *old,
                                       const uint64_t *bits)
{
        struct scatter_call *c =
            xcalloc(1, sizeof(*c) + old->n * (sizeof(uint32_t) + sizeof(uint32_t)));
        uint32_t *order = (uint32_t *)(c + 1), *stale = order + old->n, n_current = 0;

        for (uint32_t i = 0; i < old->n; i++) {
                struct scatter_shard *sh = &s->shards[old->order[i]];

                if (sh->call != old)
                        continue;
                n_current++;
                if (!shard_bits_has(bits, sh->index))
                        continue;
                order[c->n] = old->order[i];
                stale[c->n++] = i;
                void_shard(sh, c);
        }
        if (!c->n) {
                free(c);
                return NULL;
        }
        c->order = order;
        c->scatter = s;
        c->tablet_id = old->tablet_id;
        c->call.events = &call_events;
        if (!tablet_call_is_active(&old->call))
                return c;
        if (c->n < n_current) {
                tablet_call_cancel_shards(&old->call, stale, c->n);
        } else {
                tablet_call_abandon(&old->call);
                s->n_calls_left--;
        }
        return c;
}

static void send_again(struct scatter *s, struct scatter_call *c, const struct tablet_execute *x,
                       int64_t deadline_us)
{
        struct tablet_shard *names = xcalloc(c->n, sizeof(*names));

        for (uint32_t i = 0; i < c->n; i++)
                names[i] = s->names[c->order[i]];
        c->next = s->again;
        s->again = c;
        s->n_calls_left++;
        send_execute(s, c, names, x, deadline_us);
        free(names);
}

void scatter_pin_again(struct scatter *s, const uint64_t *bits, const struct tablet_execute *x,
                       int64_t deadline_us)
{
        struct scatter_call *again = s->again, *c;

        assert(s->is_open);
        for (uint32_t i = 0; i < s->n_first_calls; i++) {
                c = split_call(s, &s->calls[i], bits);
                if (c)
                        send_again(s, c, x, deadline_us);
        }
        for (; again; again = again->next) {
                c = split_call(s, again, bits);
                if (c)
                        send_again(s, c, x, deadline_us);
        }
}

void scatter_close(struct scatter *s)
{
        s->is_open = false;
        check_end(s);
}

static bool reaches(const struct scatter *s, const char *tablet_id)
{
        for (uint32_t i = 0; i < s->n_first_calls; i++) {
                if (strcmp(s->calls[i].tablet_id, tablet_id) == 0)
                        return true;
        }
        return false;
}

void scatter_release_pin(const struct scatter *s, uint64_t pin,
                         const struct scatter *const *earlier, size_t n_earlier)
{
        for (uint32_t i = 0; i < s->n_first_calls; i++) {
                const char *id = s->calls[i].tablet_id;
                bool told = false;

                for (size_t k = 0; k < n_earlier && !told; k++)
                        told = reaches(earlier[k], id);
                if (!told)
                        tablet_release_pin(tablets_find(s->tablets, id),
                                           lane_of(s, &s->calls[i], pin), pin);
        }
}

static void stop_call(struct scatter_call *c)
{
        cleanup_(freep) uint32_t *all = xcalloc(c->n, sizeof(*all));

        for (uint32_t i = 0; i < c->n; i++)
                all[i] = i;
        tablet_call_cancel_shards(&c->call, all, c->n);
}

bool scatter_stop(struct scatter *s)
{
        for (uint32_t i = 0; i < s->n_first_calls; i++)
                stop_call(&s->calls[i]);
        for (struct scatter_call *c = s->again; c; c = c->next)
                stop_call(c);
        s->is_open = false;
        s->keep_going = true;
        return s->n_calls_left > 0;
}

bool scatter_is_busy(const struct scatter *s)
{
        return s->n_calls_left > 0;
}

struct scatter *scatter_free(struct scatter *s)
{
        struct scatter_call *c, *next;

        if (!s)
                return NULL;
        if (s->freed)
                *s->freed = true;
        abandon_calls(s);
        for (c = s->again; c; c = next) {
                next = c->next;
                free(c);
        }
        for (uint32_t i = 0; i < s->n_shards; i++) {
                free(s->shards[i].failure);
                free(s->shards[i].request_note);
        }
        free(s->error);
        catalog_unref(s->catalog);
        free(s);
        return NULL;
}

void scatter_credit(struct scatter *s, size_t i, uint64_t n_bytes)
{
        tablet_call_credit(&s->shards[i].call->call, n_bytes);
}

size_t scatter_n_shards(const struct scatter *s)
{
        return s->n_shards;
}

const struct scatter_shard *scatter_shard_at(const struct scatter *s, size_t i)
{
        return &s->shards[i];
}
