/* explain.c - EXPLAIN: the plan as a small tree, one row a node. Loop thread. */
#include "gate/explain.h"

#include <string.h>

#include "common/wire.h"
#include "gate/plan_int.h"
#include "gate/shard_bits.h"
#include "sql/parse.h"
#include "sql/plain_variables.h"

/* Fields of ResultSet, Row and Column in api.proto. */
enum {
        RESULT_COLUMNS = 1,
        RESULT_ROWS = 2,
        ROW_VALUES = 1,
        COLUMN_NAME = 1,
        COLUMN_DECLARED_TYPE = 2
};

static const char *const column_names[] = {
        "step", "shards", "sql", "rows", "bytes", "elapsed_us"
};
enum { N_COLUMNS = 3, N_ANALYZE_COLUMNS = 6 };

/* ---- planning it */

static enum err_code encode_columns(struct planner *p)
{
        struct plan *plan = p->plan;
        struct buf b = BUF_INIT(0);

        plan->n_columns = plan->analyze ? N_ANALYZE_COLUMNS : N_COLUMNS;
        for (size_t i = 0; i < plan->n_columns; i++) {
                size_t at = wire_begin(&b, RESULT_COLUMNS);

                wire_add_str(&b, COLUMN_NAME, column_names[i]);
                wire_add_str(&b, COLUMN_DECLARED_TYPE, i < N_COLUMNS ? "TEXT" : "INTEGER");
                wire_end(&b, at);
        }
        plan->n_columns_bytes = b.n_bytes;
        plan->columns = b.failed ? NULL : arena_memdup(p->arena, b.data, b.n_bytes);
        buf_done(&b);
        return plan->columns ? ERR_OK : planner_no_memory(p);
}

enum err_code plan_explain(struct planner *p)
{
        const struct sql_stmt *st = p->stmt;
        uint32_t start = st->body->span.start;
        enum err_code rc;

        rc = plan_build(p->catalog, st->text + start, st->body->span.end - start, 0,
                        &p->plan->explained, p->reterr);
        if (rc) {
                if (p->reterr && p->reterr->offset >= 0)
                        p->reterr->offset += (int)start;
                return rc;
        }
        if (p->plan->explained->kind == PLAN_TRANSACTION)
                return err_set(p->reterr, ERR_UNIMPLEMENTED, "TRANSACTIONS",
                               "there is nothing to explain of what begins or ends a transaction");
        p->plan->kind = PLAN_EXPLAIN;
        p->plan->read_only = true;
        if (st->explain == SQL_EXPLAIN_QUERY_PLAN) {
                rc = plan_explain_query_plan(p, p->plan->explained);
                p->plan->explained = plan_unref(p->plan->explained);
                return rc;
        }
        p->plan->analyze = st->explain == SQL_EXPLAIN_ANALYZE;
        p->plan->read_only = !p->plan->analyze || p->plan->explained->read_only;
        return encode_columns(p);
}

/* ---- showing it */

struct explanation {
        const struct plan *plan; /* the explained one */
        const struct shard_map *shards;
        const struct explain_shard *measured;
        size_t n_measured;
        bool analyze;
        struct buf *b;
};

static void add_text(struct explanation *x, const char *s)
{
        struct value v = s ? value_text(s, strlen(s)) : value_null();

        value_add(x->b, ROW_VALUES, &v);
}

static void add_row(struct explanation *x, const char *step, const char *shards, const char *sql,
                    const struct explain_shard *measured)
{
        size_t at = wire_begin(x->b, RESULT_ROWS);

        add_text(x, step);
        add_text(x, shards);
        add_text(x, sql);
        if (x->analyze) {
                uint64_t figures[] = { measured ? measured->rows : 0,
                                       measured ? measured->bytes : 0,
                                       measured ? measured->elapsed_us : 0 };

                for (size_t i = 0; i < ARRAY_LEN(figures); i++) {
                        struct value v =
                            measured ? value_integer((int64_t)figures[i]) : value_null();

                        value_add(x->b, ROW_VALUES, &v);
                }
        }
        wire_end(x->b, at);
}

/* "-20 20-40 …"; malloc'ed. */
static char *list_shards(const struct explanation *x, const uint64_t *bits)
{
        struct buf b = BUF_INIT(0);

        for (size_t i = 0; i < shard_map_size(x->shards); i++)
                if (shard_bits_has(bits, i))
                        buf_printf(&b, "%s%s", b.n_bytes ? " " : "",
                                   shard_map_at(x->shards, i)->name);
        return buf_take_str(&b);
}

static const char *describe_route(const struct route *r)
{
        static const char *const names[] = {
                [ROUTE_ALL] = "all",
                [ROUTE_HOME] = "home",
                [ROUTE_ANY] = "any",
                [ROUTE_KEYS] = "by key",
        };

        return names[r->kind];
}

/* What it waits for, if it does; malloc'ed. */
static char *describe_step(const struct plan_after *a, bool is_last, size_t i)
{
        const char *branch = is_last ? "└─" : "├─";

        return a ? xasprintf("%s part %zu after part %zu by keys %s", branch, i + 1, a->part + 1,
                             a->name)
                 : xasprintf("%s part %zu", branch, i + 1);
}

/* malloc'ed */
static char *describe_shards(const struct explanation *x, size_t i, const uint64_t *bits)
{
        const struct plan_part *part = &x->plan->parts[i];

        /* Before it has run, the keys are not known; when it has, there may have been none. */
        if (part->after && part->after->routes && !x->analyze)
                return xstrdup("by key");
        if (part->after && x->analyze && !bits)
                return xstrdup("");
        return bits ? list_shards(x, bits) : xstrdup(describe_route(&part->route));
}

/* Of all shards of a part: the slowest one's time is the part's. False: none was measured. */
static bool add_up(const struct explanation *x, size_t part, struct explain_shard *ret_total)
{
        bool any = false;

        *ret_total = (struct explain_shard){ .part = part };
        for (size_t k = 0; k < x->n_measured; k++) {
                const struct explain_shard *m = &x->measured[k];

                if (m->part != part)
                        continue;
                any = true;
                ret_total->rows += m->rows;
                ret_total->bytes += m->bytes;
                if (m->elapsed_us > ret_total->elapsed_us)
                        ret_total->elapsed_us = m->elapsed_us;
        }
        return any;
}

/* The text of the literal that the element of the value vector is a copy of; NULL: it is not. */
static const char *literal_of(void *ctx, size_t number)
{
        const struct plan *p = ctx;
        size_t first = p->n_params + p->n_literals;
        size_t i = number - 1;
        const struct plan_slot *s;

        while (i >= first && i < first + p->n_slots && p->slots[i - first].kind == SLOT_COPY)
                i = (size_t)p->slots[i - first].from;
        if (i < first || i >= first + p->n_slots)
                return NULL;
        s = &p->slots[i - first];
        if (s->kind != SLOT_CONSTANT || !s->expr || s->constant.type == VALUE_NULL)
                return NULL;
        return s->expr + strlen("SELECT ");
}

static void add_part(struct explanation *x, size_t i, const uint64_t *bits)
{
        const struct plan_part *part = &x->plan->parts[i];
        struct explain_shard total;
        bool any = add_up(x, i, &total);
        bool is_last = i + 1 == x->plan->n_parts && !x->plan->finish_sql;
        char *step = describe_step(part->after, is_last, i);
        char *shards = describe_shards(x, i, bits);
        struct buf b = BUF_INIT(0);
        char *sql;

        sql_replace_variables(part->after ? part->after->sql : part->sql, literal_of,
                              (void *)(uintptr_t)x->plan, &b);
        buf_add_str(&b, part->after ? "…)" : "");
        sql = buf_take_str(&b);
        add_row(x, step, shards, sql, any ? &total : NULL);
        free(sql);
        free(step);
        free(shards);
        for (size_t k = 0; k < x->n_measured; k++) {
                if (x->measured[k].part != i)
                        continue;
                step = xasprintf("%s  · %s", is_last ? "  " : "│ ", x->measured[k].tablet);
                add_row(x, step, x->measured[k].shard, NULL, &x->measured[k]);
                free(step);
        }
}

void explain_rows(const struct plan *p, const uint64_t *const *shard_bits,
                  const struct explain_shard *measured, size_t n_measured,
                  const struct explain_shard *finish, struct buf *b)
{
        struct explanation x = {
                .plan = p->explained,
                .shards = catalog_shards(p->catalog),
                .measured = measured,
                .n_measured = n_measured,
                .analyze = p->analyze,
                .b = b,
        };

        add_row(&x, plan_kind_name(x.plan->kind), NULL, NULL, NULL);
        for (size_t i = 0; i < x.plan->n_parts; i++)
                add_part(&x, i, shard_bits ? shard_bits[i] : NULL);
        if (x.plan->ddl && x.plan->ddl->sql)
                add_row(&x, "└─ change", "all", x.plan->ddl->sql, NULL);
        if (x.plan->finish_sql && *x.plan->finish_sql)
                add_row(&x, "└─ finish", "gate", x.plan->finish_sql, finish);
}
