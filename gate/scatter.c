/* scatter.c - groups shards by the tablet that serves them and gathers what they say. Everything on
 * the loop thread. */
#include "gate/scatter.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* One request to one tablet: shards first … first + n - 1 of the scatter. */
struct scatter_call {
        struct tablet_call call;
        struct scatter *scatter;
        const char *tablet_id;
        uint32_t first, n;
};

/* Owner: the loop thread. Its arrays lie behind it in one allocation. */
struct scatter {
        struct tablets *tablets;
        struct catalog *catalog;
        const struct scatter_events *events;
        void *arg;
        bool keep_going;
        struct err *error; /* the first */
        uint32_t n_shards, n_calls, n_calls_ended;
        struct scatter_shard *shards; /* those of a call lie together */
        struct tablet_shard *names;   /* of the same shards */
        struct scatter_call *calls;
};

size_t scatter_n_words(const struct catalog *c)
{
        return (shard_map_size(catalog_shards(c)) + 63) / 64;
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

static void on_call_reply(struct tablet_call *call, const struct tablet_reply *r)
{
        struct scatter_call *sc = CONTAINER_OF(call, struct scatter_call, call);
        struct scatter *s = sc->scatter;
        struct scatter_shard *sh = &s->shards[sc->first + r->shard];

        if (sh->ended)
                return;
        sh->bytes += r->n_result_bytes;
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
        if (r->failure) {
                note_failure(s, sh, r->failure);
                if (s->keep_going)
                        return;
                for (uint32_t i = 0; i < s->n_calls; i++)
                        tablet_call_abandon(&s->calls[i].call);
                end_scatter(s);
        } else if (r->n_result_bytes && s->events->on_result) {
                /* May free the scatter. */
                s->events->on_result(s->arg, s, (size_t)(sh - s->shards), r->result,
                                     r->n_result_bytes, r->slice);
        }
}

static void on_call_end(struct tablet_call *call, const struct err *e)
{
        struct scatter_call *sc = CONTAINER_OF(call, struct scatter_call, call);
        struct scatter *s = sc->scatter;

        s->n_calls_ended++;
        for (uint32_t i = sc->first; e->code && i < sc->first + sc->n; i++) {
                if (!s->shards[i].ended)
                        note_failure(s, &s->shards[i], e);
        }
        if (s->error && !s->keep_going) {
                for (uint32_t i = 0; i < s->n_calls; i++)
                        tablet_call_abandon(&s->calls[i].call);
                end_scatter(s);
        } else if (s->n_calls_ended == s->n_calls) {
                end_scatter(s);
        }
}

/* Puts the shards whose bits are set into one call per tablet. */
static void group_shards(struct scatter *s, const uint64_t *bits)
{
        const struct shard_map *map = catalog_shards(s->catalog);
        size_t n = shard_map_size(map);
        uint32_t at = 0;

        for (size_t i = 0; i < n; i++) {
                const struct shard_map_entry *e = shard_map_at(map, i);
                uint32_t k = 0;

                if (!(bits[i / 64] >> i % 64 & 1))
                        continue;
                while (k < s->n_calls && strcmp(s->calls[k].tablet_id, e->tablet) != 0)
                        k++;
                if (k == s->n_calls)
                        s->calls[s->n_calls++].tablet_id = e->tablet;
                s->calls[k].n++;
        }
        for (uint32_t k = 0; k < s->n_calls; k++) {
                s->calls[k].first = at;
                at += s->calls[k].n;
                s->calls[k].n = 0;
        }
        for (size_t i = 0; i < n; i++) {
                const struct shard_map_entry *e = shard_map_at(map, i);
                struct scatter_call *c = s->calls;

                if (!(bits[i / 64] >> i % 64 & 1))
                        continue;
                while (c->tablet_id != e->tablet && strcmp(c->tablet_id, e->tablet) != 0)
                        c++;
                at = c->first + c->n++;
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
        static const struct tablet_call_events events = { on_call_reply, on_call_end };
        size_t n = 0, calls_at, shards_at, names_at;
        struct scatter *s;

        for (size_t i = 0; i < scatter_n_words(o->catalog); i++)
                n += (size_t)__builtin_popcountll(o->shard_bits[i]);
        assert(n);
        calls_at = align_up(sizeof(*s));
        shards_at = align_up(calls_at + n * sizeof(struct scatter_call));
        names_at = align_up(shards_at + n * sizeof(struct scatter_shard));
        s = xcalloc(1, names_at + n * sizeof(struct tablet_shard));
        s->calls = (void *)((char *)s + calls_at);
        s->shards = (void *)((char *)s + shards_at);
        s->names = (void *)((char *)s + names_at);
        s->tablets = o->tablets;
        s->catalog = catalog_ref(o->catalog);
        s->events = o->events;
        s->arg = o->arg;
        s->keep_going = o->keep_going;
        s->n_shards = (uint32_t)n;
        group_shards(s, o->shard_bits);
        for (uint32_t i = 0; i < s->n_calls; i++) {
                s->calls[i].scatter = s;
                s->calls[i].call.events = &events;
        }
        return s;
}

/* A shard always goes the same way, and neighbours are spread. */
static unsigned lane_of(const struct scatter *s, const struct scatter_call *c)
{
        return s->shards[c->first].index * 2654435761U >> 16;
}

struct scatter *scatter_execute(const struct scatter_options *o, const struct tablet_execute *x)
{
        struct scatter *s = make_scatter(o);

        for (uint32_t i = 0; i < s->n_calls; i++) {
                struct scatter_call *c = &s->calls[i];

                tablet_call_execute(&c->call, s->tablets, tablets_find(s->tablets, c->tablet_id),
                                    lane_of(s, c), &s->names[c->first], c->n, x, o->deadline_us);
        }
        return s;
}

struct scatter *scatter_change_schema(const struct scatter_options *o,
                                      const struct tablet_change_schema *x)
{
        struct scatter *s = make_scatter(o);

        for (uint32_t i = 0; i < s->n_calls; i++) {
                struct scatter_call *c = &s->calls[i];

                tablet_call_change_schema(&c->call, s->tablets,
                                          tablets_find(s->tablets, c->tablet_id),
                                          &s->names[c->first], c->n, x, o->deadline_us);
        }
        return s;
}

struct scatter *scatter_free(struct scatter *s)
{
        if (!s)
                return NULL;
        for (uint32_t i = 0; i < s->n_calls; i++)
                tablet_call_abandon(&s->calls[i].call);
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
        struct scatter_call *c = s->calls;

        while (i >= c->first + c->n)
                c++;
        tablet_call_credit(&c->call, n_bytes);
}

size_t scatter_n_shards(const struct scatter *s)
{
        return s->n_shards;
}

const struct scatter_shard *scatter_shard_at(const struct scatter *s, size_t i)
{
        return &s->shards[i];
}
