/* test_plan_golden.c - the plans of golden/SUBJECT.sql are those of golden/SUBJECT.plan: kind, what
 * goes to which shards, what is left for the gate, and the bytes that move. SHOAL_TEST_REWRITE=1
 * writes the files anew, to be read before they are committed. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/plan.h"
#include "sql/parse.h"
#include "tests/unit/gate/plan_sim.h"
#include "tests/unit/unit.h"

static const char *const subjects[] = { "aggregates", "compounds", "ctes",       "derived_tables",
                                        "joins",      "pruning",   "subqueries", "windows" };

static char *path_of(const char *subject, const char *ending)
{
        return xasprintf("%s/%s.%s", SHOAL_GOLDEN_DIR, subject, ending);
}

static char *read_file(const char *path)
{
        struct buf b = BUF_INIT(0);
        FILE *f = fopen(path, "r");
        char chunk[4096];
        size_t n;

        while (f && (n = fread(chunk, 1, sizeof chunk, f)) > 0)
                buf_add(&b, chunk, n);
        if (f)
                fclose(f);
        return buf_take_str(&b);
}

/* Calls for each statement of a file. */
static void each_statement(const char *path, void (*fn)(struct sim *s, const char *sql, void *arg),
                           struct sim *s, void *arg)
{
        char *text = read_file(path);
        size_t at = 0, n_bytes = strlen(text), n;
        bool blank;

        ck_assert_msg(n_bytes > 0, "%s is not there", path);
        while ((n = sql_split(text + at, n_bytes - at, &blank)) > 0) {
                char *sql = strndup(text + at, n);

                if (!blank)
                        fn(s, sql + strspn(sql, "\n "), arg);
                free(sql);
                at += n;
        }
        free(text);
}

static void set_up(struct sim *s, const char *sql, void *arg)
{
        struct sim_result r;
        char *plain = strdup(sql);
        char *cut = strstr(plain, " UNSHARDED");

        (void)arg;
        sim_run(s, sql, NULL, 0, &r);
        ck_assert_msg(r.code == ERR_OK, "%s: %s", sql, r.err.msg);
        sim_result_done(&r);
        if (!cut)
                cut = strstr(plain, " SHARD BY");
        if (cut)
                *cut = '\0';
        sim_run_oracle(s, plain, NULL, 0, &r);
        ck_assert_msg(r.code == ERR_OK, "%s: %s", plain, r.err.msg);
        sim_result_done(&r);
        free(plain);
}

static void describe(struct sim *s, const char *sql, void *arg)
{
        struct buf *b = arg;
        cleanup_(plan_unrefp) struct plan *p = NULL;
        struct err e = ERR_INIT;
        struct sim_result r;

        ck_assert_msg(plan_build(sim_catalog(s), sql, strlen(sql), 0, &p, &e) == ERR_OK, "%s: %s",
                      sql, e.msg);
        sim_check(s, sql, false);
        sim_run(s, sql, NULL, 0, &r);
        buf_printf(b, "%s\n", sql);
        buf_printf(b, "  %s\n", plan_kind_name(p->kind));
        for (size_t i = 0; i < p->n_parts; i++)
                buf_printf(b, "  part %zu: %zu shards, %zu bytes\n    %s\n", i + 1,
                           r.parts[i].n_shards, r.parts[i].n_bytes, p->parts[i].sql);
        if (p->finish_sql)
                buf_printf(b, "  finish:\n    %s\n", p->finish_sql);
        buf_add_str(b, "\n");
        sim_result_done(&r);
}

START_TEST(plans)
{
        const char *subject = subjects[_i];
        struct sim *s = sim_new(4);
        struct buf b = BUF_INIT(0);
        char *schema = path_of("schema", "sql"), *queries = path_of(subject, "sql");
        char *expected = path_of(subject, "plan"), *got, *want;

        each_statement(schema, set_up, s, NULL);
        each_statement(queries, describe, s, &b);
        got = buf_take_str(&b);
        if (getenv("SHOAL_TEST_REWRITE")) {
                FILE *f = fopen(expected, "w");

                ck_assert_ptr_nonnull(f);
                ck_assert_int_ge(fputs(got, f), 0);
                ck_assert_int_eq(fclose(f), 0);
        }
        want = read_file(expected);
        for (size_t i = 0, line = 1; got[i] || want[i]; line += got[i++] == '\n')
                ck_assert_msg(got[i] == want[i], "%s, line %zu: the plan is now\n%.400s", expected,
                              line, got + i);
        free(got);
        free(want);
        free(schema);
        free(queries);
        free(expected);
        sim_free(s);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("plan_golden");
        TCase *tc = tcase_create("plan_golden");

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, plans, 0, ARRAY_LEN(subjects));
        suite_add_tcase(suite, tc);
        return unit_run(suite);
}
