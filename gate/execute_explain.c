/* execute_explain.c - what is told of how a statement was, or would be, run. Loop thread. */
#include <string.h>

#include "common/wire.h"
#include "gate/execute_int.h"
#include "gate/explain.h"
#include "gate/shard_bits.h"

/* ---- statistics of a statement that has run */

static void add_shard_stats(struct buf *b, const struct scatter_shard *sh)
{
        size_t at = wire_begin(b, 3);

        wire_add_str_nz(b, 1, sh->entry->name);
        wire_add_str_nz(b, 2, sh->entry->tablet);
        wire_add_uint_nz(b, 3, sh->rows);
        wire_add_uint_nz(b, 4, sh->bytes);
        wire_add_uint_nz(b, 5, sh->elapsed_us);
        wire_end(b, at);
}

void execute_add_stats(struct execution *x)
{
        struct buf *b = &x->stats;

        wire_add_str_nz(b, 1, execution_plan_name(x));
        wire_add_uint_nz(b, 2, x->cached);
        for (size_t i = 0; i < x->n_parts; i++) {
                const struct scatter *s = x->parts[i].scatter;

                for (size_t k = 0; s && k < scatter_n_shards(s); k++)
                        add_shard_stats(b, scatter_shard_at(s, k));
        }
        wire_add_uint_nz(b, 4, (uint64_t)(mono_us() - x->started_us));
}

/* ---- EXPLAIN */

/* The shards each part goes to; NULL where that is not known before the statement runs. */
static const uint64_t *const *route_parts(struct execution *x, const struct plan *p)
{
        const uint64_t **bits = arena_calloc(x->arena, p->n_parts + 1, sizeof(*bits));
        const struct execute_request *r = &x->request;
        bool known = (r->n_args > 0 || p->n_params == 0) &&
                     plan_binds_quickly(p, r->args, r->n_args, x->literals);
        size_t n_shards;

        if (!bits)
                return NULL;
        if (known && plan_bind(p, r->args, r->n_args, x->literals, NULL, x->now_ms, x->arena,
                               &x->values, NULL))
                known = false;
        if (known && plan_n_new_rowids(p, &x->values))
                known = false;
        for (size_t i = 0; known && i < p->n_parts; i++) {
                uint64_t *b = execute_alloc_bits(x);

                if (b && plan_route(p, i, &x->values, b, &n_shards, NULL) == ERR_OK)
                        bits[i] = b;
        }
        return bits;
}

static const uint64_t *const *parts_sent(struct execution *x)
{
        const uint64_t **bits = arena_calloc(x->arena, x->run->n_parts + 1, sizeof(*bits));

        for (size_t i = 0; bits && i < x->n_parts; i++) {
                const struct scatter *s = x->parts[i].scatter;
                size_t part = x->parts[i].index;
                uint64_t *b = (uint64_t *)(uintptr_t)bits[part];

                if (!b)
                        b = arena_calloc(x->arena, scatter_n_words(x->catalog), sizeof(*b));
                if (!b)
                        continue;
                bits[part] = b;
                for (size_t k = 0; s && k < scatter_n_shards(s); k++)
                        shard_bits_add(b, scatter_shard_at(s, k)->index);
        }
        return bits;
}

static struct explain_shard *measure(struct execution *x, size_t *ret_n)
{
        struct explain_shard *m;
        size_t n = 0;

        for (size_t i = 0; i < x->n_parts; i++)
                n += x->parts[i].scatter ? scatter_n_shards(x->parts[i].scatter) : 0;
        *ret_n = 0;
        m = arena_calloc(x->arena, n + 1, sizeof(*m));
        for (size_t i = 0; m && i < x->n_parts; i++) {
                const struct scatter *s = x->parts[i].scatter;

                for (size_t k = 0; s && k < scatter_n_shards(s); k++) {
                        const struct scatter_shard *sh = scatter_shard_at(s, k);

                        m[(*ret_n)++] = (struct explain_shard){
                                .part = x->parts[i].index,
                                .shard = sh->entry->name,
                                .tablet = sh->entry->tablet,
                                .rows = sh->rows,
                                .bytes = sh->bytes,
                                .elapsed_us = sh->elapsed_us,
                        };
                }
        }
        return m;
}

/* EXPLAIN QUERY PLAN: the rows are in the plan. */
static void give_query_plan(struct execution *x)
{
        const struct plan *p = x->plan;
        bool given = true;

        x->discard_rows = false;
        if (p->n_query_plan_bytes)
                given = execute_give(x,
                                     grpc_slice_from_copied_buffer((const char *)p->query_plan,
                                                                   p->n_query_plan_bytes),
                                     EXECUTE_TAG_NONE);
        if (given)
                execute_succeed(x);
}

static void give_explanation(struct execution *x, bool measured)
{
        struct explain_shard finish = { 0 };
        const struct plan *p = x->plan->explained;
        const uint64_t *const *bits = measured ? parts_sent(x) : route_parts(x, p);
        struct explain_shard *m = NULL;
        struct buf rows = BUF_INIT(x->gate->options.max_result_bytes);
        struct err e = ERR_INIT;
        size_t n = 0;

        if (measured)
                m = measure(x, &n);
        if (measured && x->finish)
                finish = (struct explain_shard){
                        .rows = finish_n_rows(x->finish),
                        .bytes = finish_spilled(x->finish),
                        .elapsed_us = finish_worked_us(x->finish),
                };
        if (bits && !arena_is_exhausted(x->arena))
                explain_rows(x->plan, bits, m, n, measured && x->finish ? &finish : NULL, &rows);
        if (!rows.n_bytes || rows.failed) {
                buf_done(&rows);
                err_set(&e, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                        "the statement is too large to be explained");
                execute_fail(x, &e);
                return;
        }
        x->discard_rows = false;
        if (execute_give(x, grpc_slice_new(rows.data, rows.n_bytes, free), EXECUTE_TAG_NONE))
                execute_succeed(x);
}

void execute_explain(struct execution *x, bool measured)
{
        if (x->plan->query_plan)
                give_query_plan(x);
        else
                give_explanation(x, measured);
}
