/* partial_agg.c - sums that can be cut in pieces. Compensated summation after Neumaier,
 * "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974. Runs wherever
 * SQLite steps. */
#include "common/partial_agg.h"

#include <math.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/util.h"

/* What a blob holds, in the byte order of the machine: gates and tablets of one cluster share it.
 */
struct sum_state {
        uint64_t int_low; /* of the 128-bit sum of integers */
        int64_t int_high;
        double sum;      /* of all values */
        double carry;    /* what sum lost to rounding */
        int64_t n;       /* values that were not NULL */
        int64_t inexact; /* 1: some were not integers */
};

static __int128 state_integer(const struct sum_state *s)
{
        return (__int128)(((unsigned __int128)(uint64_t)s->int_high << 64) | s->int_low);
}

static void state_set_integer(struct sum_state *s, __int128 v)
{
        s->int_low = (uint64_t)(unsigned __int128)v;
        s->int_high = (int64_t)(v >> 64);
}

static void add_real(struct sum_state *s, double v)
{
        double t = s->sum + v;

        if (isfinite(t))
                s->carry += fabs(s->sum) >= fabs(v) ? (s->sum - t) + v : (v - t) + s->sum;
        s->sum = t;
}

static double state_real(const struct sum_state *s)
{
        return isfinite(s->sum) ? s->sum + s->carry : s->sum;
}

static void part_step(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
        struct sum_state *s = sqlite3_aggregate_context(ctx, sizeof *s);
        int type = sqlite3_value_numeric_type(argv[0]);

        if (!s || type == SQLITE_NULL)
                return;
        s->n++;
        if (type == SQLITE_INTEGER) {
                int64_t v = sqlite3_value_int64(argv[0]);

                state_set_integer(s, state_integer(s) + v);
                add_real(s, (double)v);
        } else {
                s->inexact = 1;
                add_real(s, sqlite3_value_double(argv[0]));
        }
}

static void part_final(sqlite3_context *ctx)
{
        struct sum_state *s = sqlite3_aggregate_context(ctx, sizeof *s);

        if (s)
                sqlite3_result_blob(ctx, s, sizeof *s, SQLITE_TRANSIENT);
}

static void merge_step(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
        struct sum_state *s = sqlite3_aggregate_context(ctx, sizeof *s);
        struct sum_state part;

        if (!s || sqlite3_value_type(argv[0]) == SQLITE_NULL)
                return;
        if (sqlite3_value_bytes(argv[0]) != (int)sizeof part) {
                sqlite3_result_error(ctx, "malformed partial sum", -1);
                return;
        }
        memcpy(&part, sqlite3_value_blob(argv[0]), sizeof part);
        state_set_integer(s, state_integer(s) + state_integer(&part));
        add_real(s, part.sum);
        s->carry += part.carry;
        s->n += part.n;
        s->inexact |= part.inexact;
}

static void sum_final(sqlite3_context *ctx)
{
        struct sum_state *s = sqlite3_aggregate_context(ctx, sizeof *s);
        __int128 v;

        if (!s || s->n == 0)
                return;
        if (s->inexact) {
                sqlite3_result_double(ctx, state_real(s));
                return;
        }
        v = state_integer(s);
        if (v > INT64_MAX || v < INT64_MIN)
                sqlite3_result_error(ctx, "integer overflow", -1);
        else
                sqlite3_result_int64(ctx, (int64_t)v);
}

/* The sum as a real: of integers by way of the exact one. */
static double state_total(const struct sum_state *s)
{
        return s->inexact ? state_real(s) : (double)state_integer(s);
}

static void total_final(sqlite3_context *ctx)
{
        struct sum_state *s = sqlite3_aggregate_context(ctx, sizeof *s);

        sqlite3_result_double(ctx, s ? state_total(s) : 0.0);
}

static void avg_final(sqlite3_context *ctx)
{
        struct sum_state *s = sqlite3_aggregate_context(ctx, sizeof *s);

        if (s && s->n > 0)
                sqlite3_result_double(ctx, state_total(s) / (double)s->n);
}

static const struct {
        const char *name;
        void (*step)(sqlite3_context *, int, sqlite3_value **);
        void (*final)(sqlite3_context *);
} functions[] = {
        { "_shoal_sum_part", part_step, part_final },
        { "_shoal_sum", merge_step, sum_final },
        { "_shoal_total", merge_step, total_final },
        { "_shoal_avg", merge_step, avg_final },
};

int partial_agg_register(struct sqlite3 *db)
{
        for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
                int rc = sqlite3_create_function_v2(
                    db, functions[i].name, 1,
                    SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL, NULL,
                    functions[i].step, functions[i].final, NULL);
                if (rc != SQLITE_OK)
                        return rc;
        }
        return SQLITE_OK;
}

void partial_agg_unregister(struct sqlite3 *db)
{
        for (size_t i = 0; i < ARRAY_LEN(functions); i++)
                (void)sqlite3_create_function_v2(db, functions[i].name, 1, SQLITE_UTF8, NULL, NULL,
                                                 NULL, NULL, NULL);
}
