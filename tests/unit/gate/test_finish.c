/* The gate's own SQLite: loading, finishing, spilling, limits, and being stopped. */
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "common/wire.h"
#include "gate/finish.h"
#include "gate/spill.h"
#include "tests/unit/unit.h"

static struct loop *loop;
static struct pool *pool;
static struct finishes *finishes;

/* ---- plans and rows */

struct part_sql {
        const char *ddl, *load;
        size_t n_columns;
};

static struct plan *make_plan(const struct part_sql *parts, size_t n_parts, const char *finish_sql)
{
        struct arena *a = arena_new(1 << 20);
        struct plan *p = arena_calloc(a, 1, sizeof(*p));

        p->arena = a;
        p->refs = 1;
        p->kind = n_parts ? PLAN_SCATTER : PLAN_LOCAL;
        p->finish_sql = finish_sql;
        p->parts = arena_calloc(a, n_parts + 1, sizeof(*p->parts));
        p->n_parts = n_parts;
        for (size_t i = 0; i < n_parts; i++) {
                p->parts[i].load_ddl = parts[i].ddl;
                p->parts[i].load_sql = parts[i].load;
                p->parts[i].n_columns = parts[i].n_columns;
        }
        return p;
}

static const struct part_sql numbers = { "CREATE TABLE p0 (a INTEGER, b TEXT COLLATE NOCASE)",
                                         "INSERT INTO p0 VALUES (?1, ?2)", 2 };

/* Appends a row of two values as a shard would send it. */
static void add_row(struct buf *b, int64_t a, const char *text)
{
        struct value v[] = { value_integer(a), value_text(text, strlen(text)) };
        size_t at = wire_begin(b, 2);

        value_add(b, 1, &v[0]);
        value_add(b, 1, &v[1]);
        wire_end(b, at);
}

/* ---- what comes of a finish */

struct seen {
        struct finish *f;
        size_t n_turns, n_ends, n_chunks;
        uint64_t consumed[4];
        char *text; /* rows as "1,x;2,y;" */
        size_t n_text, n_rows;
        bool hold; /* do not ask for the next chunk */
        bool free_on_rows;
        struct err e;
};

static void note_rows(struct seen *s, const struct buf *rows)
{
        struct wire_reader r = wire_reader(rows->data, rows->n_bytes);
        struct wire_field f;
        struct buf text = BUF_INIT(0);

        while (wire_next(&r, &f)) {
                struct wire_reader rv = wire_reader(f.data, f.n_bytes);
                struct wire_field fv;
                struct value v;
                struct err e;

                ck_assert_uint_eq(f.number, 2);
                s->n_rows++;
                while (wire_next(&rv, &fv)) {
                        ck_assert(!value_decode(fv.data, fv.n_bytes, &v, &e));
                        if (v.type == VALUE_INTEGER)
                                buf_printf(&text, "%lld,", (long long)v.integer);
                        else if (v.type == VALUE_REAL)
                                buf_printf(&text, "%.1f,", v.real);
                        else if (v.type == VALUE_NULL)
                                buf_printf(&text, "NULL,");
                        else
                                buf_printf(&text, "%.*s,", (int)v.n_bytes, (const char *)v.data);
                }
                buf_add_byte(&text, ';');
        }
        if (s->n_rows < 1000 && text.n_bytes) {
                s->text = xrealloc(s->text, s->n_text + text.n_bytes + 1);
                memcpy(s->text + s->n_text, text.data, text.n_bytes);
                s->n_text += text.n_bytes;
                s->text[s->n_text] = '\0';
        }
        buf_done(&text);
}

static void on_turn(void *arg)
{
        ((struct seen *)arg)->n_turns++;
}

static void on_consumed(void *arg, size_t tag, uint64_t n_bytes)
{
        ((struct seen *)arg)->consumed[tag] += n_bytes;
}

static void on_rows(void *arg, struct buf *rows)
{
        struct seen *s = arg;

        s->n_chunks++;
        note_rows(s, rows);
        if (s->free_on_rows)
                s->f = finish_free(s->f);
        else if (!s->hold)
                finish_next(s->f);
}

static void on_end(void *arg, const struct err *e)
{
        struct seen *s = arg;

        s->n_ends++;
        s->e = *e;
}

static const struct finish_events events = { on_turn, on_consumed, on_rows, on_end };

static void start(struct seen *s, struct plan *p, const struct finish_options *o)
{
        struct finish_options all = o ? *o : (struct finish_options){ 0 };

        all.finishes = finishes;
        all.plan = p;
        if (!all.now_ms)
                all.now_ms = 1000;
        if (!all.deadline_us)
                all.deadline_us = INT64_MAX;
        if (!all.chunk_bytes)
                all.chunk_bytes = 64 << 10;
        all.events = &events;
        all.arg = s;
        s->f = finish_new(&all);
}

static void load(struct seen *s, size_t part, struct buf *b, size_t tag)
{
        grpc_slice slice = grpc_slice_from_copied_buffer((const char *)b->data, b->n_bytes);

        finish_load(s->f, part, GRPC_SLICE_START_PTR(slice), b->n_bytes, &slice, tag);
        grpc_slice_unref(slice);
        b->n_bytes = 0;
}

struct alarm {
        struct loop_timer timer;
        bool done;
};

static void on_alarm(struct loop_timer *timer)
{
        CONTAINER_OF(timer, struct alarm, timer)->done = true;
}

static void linger(void)
{
        struct alarm a = { .timer.fn = on_alarm };

        loop_timer_set(loop, &a.timer, mono_us() + 1000);
        loop_run_until(loop, &a.done);
}

static void wait_for(const size_t *n, size_t at_least)
{
        while (*n < at_least)
                linger();
}

static void done(struct seen *s)
{
        s->f = finish_free(s->f);
        free(s->text);
        s->text = NULL;
}

static void make_finishes(uint64_t memory, uint64_t disk, size_t max_running)
{
        const struct finishes_options o = {
                .loop = loop,
                .pool = pool,
                .limits = { .memory_bytes = memory,
                            .total_memory_bytes = 8 << 20,
                            .disk_bytes = disk,
                            .value_bytes = 1 << 20 },
                .max_running = max_running,
                .max_kept = 4,
        };

        finishes = finishes_new(&o);
}

static void setup(void)
{
        loop = loop_new();
        pool = pool_new("finish", 2);
        make_finishes(1 << 20, 64 << 20, 8);
}

static void teardown(void)
{
        finishes = finishes_free(finishes);
        pool = pool_free(pool);
        loop = loop_free(loop);
}

/* ---- tests */

START_TEST(rows_become_the_answer)
{
        const struct value values[] = { value_integer(1), value_text("x", 1) };
        const struct finish_options o = { .values = values, .n_values = 2 };
        struct plan *p = make_plan(
            &numbers, 1, "SELECT b, sum(a), ?2 FROM p0 WHERE a > ?1 GROUP BY b ORDER BY b");
        struct buf b = BUF_INIT(0);

        /* Twice: the second time with the database of the first. */
        for (int i = 0; i < 2; i++) {
                struct seen s = { 0 };
                size_t n;

                start(&s, p, &o);
                ck_assert(finish_has_turn(s.f));
                add_row(&b, 1, "left out");
                add_row(&b, 5, "b");
                n = b.n_bytes;
                load(&s, 0, &b, 1);
                add_row(&b, 7, "a");
                add_row(&b, 8, "B");
                load(&s, 0, &b, 2);
                finish_run(s.f);
                wait_for(&s.n_ends, 1);
                ck_assert_int_eq(s.e.code, ERR_OK);
                ck_assert_str_eq(s.text, "a,7,x,;b,13,x,;");
                ck_assert_uint_eq(s.consumed[1], n);
                ck_assert_uint_gt(s.consumed[2], 0);
                ck_assert_uint_eq(s.n_turns, 0);
                done(&s);
        }
        buf_done(&b);
        plan_unref(p);
}
END_TEST

START_TEST(several_parts)
{
        static const struct part_sql parts[] = {
                { "CREATE TABLE p0 (a, b)", "INSERT INTO p0 VALUES (?1, ?2)", 2 },
                { "CREATE TABLE p1 (a, b)", "INSERT INTO p1 VALUES (?1, ?2)", 2 },
        };
        struct plan *p =
            make_plan(parts, 2, "SELECT p0.b, p1.b FROM p0 JOIN p1 USING (a) ORDER BY a");
        struct buf b = BUF_INIT(0);
        struct seen s = { 0 };

        start(&s, p, NULL);
        for (int i = 0; i < 3; i++) {
                add_row(&b, i, "l");
                load(&s, 0, &b, 0);
                add_row(&b, i + 1, "r");
                load(&s, 1, &b, 1);
        }
        finish_run(s.f);
        wait_for(&s.n_ends, 1);
        ck_assert_str_eq(s.text, "l,r,;l,r,;");
        done(&s);
        buf_done(&b);
        plan_unref(p);
}
END_TEST

/* Chunks come when they are asked for, not before. */
START_TEST(chunks_on_demand)
{
        const struct finish_options o = { .chunk_bytes = 1000 };
        struct plan *p = make_plan(&numbers, 1, "SELECT a, b FROM p0 ORDER BY a DESC");
        struct buf b = BUF_INIT(0);
        struct seen s = { .hold = true };
        size_t n;

        start(&s, p, &o);
        for (int i = 0; i < 500; i++)
                add_row(&b, i, "some text");
        load(&s, 0, &b, 0);
        finish_run(s.f);
        wait_for(&s.n_chunks, 1);
        n = s.n_rows;
        ck_assert_uint_lt(n, 100);
        for (int i = 0; i < 5; i++)
                linger();
        ck_assert_uint_eq(s.n_chunks, 1);
        s.hold = false;
        finish_next(s.f);
        wait_for(&s.n_ends, 1);
        ck_assert_uint_eq(s.n_rows, 500);
        done(&s);
        buf_done(&b);
        plan_unref(p);
}
END_TEST

/* Far more rows than memory: they go to files, and are all there. */
START_TEST(spills)
{
        enum { N = 100000 };
        struct plan *p = make_plan(&numbers, 1,
                                   "SELECT count(*), sum(a), max(b) FROM "
                                   "(SELECT a, b FROM p0 ORDER BY b, a DESC)");
        struct buf b = BUF_INIT(0);
        struct seen s = { 0 };
        char text[64];

        finishes_free(finishes);
        make_finishes(256 << 10, 64 << 20, 8);
        start(&s, p, NULL);
        for (int i = 0; i < N; i++) {
                snprintf(text, sizeof(text), "text of row number %d", i * 7919 % N);
                add_row(&b, i, text);
                if (b.n_bytes > 100000)
                        load(&s, 0, &b, 0);
        }
        load(&s, 0, &b, 0);
        finish_run(s.f);
        wait_for(&s.n_ends, 1);
        ck_assert_msg(!s.e.code, "%s", s.e.msg);
        ck_assert_str_eq(s.text, "100000,4999950000,text of row number 99999,;");
        ck_assert_uint_gt(finish_spilled(s.f), 3 << 20);
        done(&s);
        buf_done(&b);
        plan_unref(p);
}
END_TEST

/* Neither loading nor sorting may take more disk than there is. */
static const struct {
        const char *label, *sql;
        int n_rows;
} over_disk[] = {
        { "loading", "SELECT count(*) FROM p0", 100000 },
        { "sorting",
          "SELECT a, b || a || b || a AS c FROM p0, (VALUES (1), (2), (3), (4)) ORDER BY c",
          25000 },
        { "recursion",
          "WITH RECURSIVE r(n) AS (SELECT 1 UNION SELECT n + 1 FROM r WHERE n < 10000000) "
          "SELECT max(n) FROM r",
          1 },
};

START_TEST(spill_limit)
{
        struct plan *p = make_plan(&numbers, 1, over_disk[_i].sql);
        struct buf b = BUF_INIT(0);
        struct seen s = { 0 };
        char text[64];

        finishes_free(finishes);
        make_finishes(128 << 10, 2 << 20, 8);
        start(&s, p, NULL);
        for (int i = 0; i < over_disk[_i].n_rows && !s.n_ends; i++) {
                snprintf(text, sizeof(text), "text of row number %d", i);
                add_row(&b, i, text);
                if (b.n_bytes > 100000)
                        load(&s, 0, &b, 0);
        }
        if (!s.n_ends) {
                load(&s, 0, &b, 0);
                finish_run(s.f);
        }
        wait_for(&s.n_ends, 1);
        ck_assert_msg(s.e.code == ERR_EXHAUSTED, "%s: %d %s", over_disk[_i].label, s.e.code,
                      s.e.msg);
        ck_assert_str_eq(s.e.reason, "SPILL_LIMIT");
        ck_assert_uint_le(finish_spilled(s.f), 2 << 20);
        done(&s);
        buf_done(&b);
        plan_unref(p);
}
END_TEST

/* What SQLite cannot put into files. */
static const struct {
        const char *label, *sql;
} over_memory[] = {
        { "wide row",
          "SELECT length(hex(randomblob(n))) > 0, hex(randomblob(n)), hex(randomblob(n)), "
          "hex(randomblob(n)), hex(randomblob(n)), hex(randomblob(n)), hex(randomblob(n)), "
          "hex(randomblob(n)), hex(randomblob(n)), hex(randomblob(n)), hex(randomblob(n)), "
          "hex(randomblob(n)) FROM (SELECT 520000 AS n)" },
        { "many groups_concat",
          "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 9000) SELECT "
          "group_concat(hex(zeroblob(50))), group_concat(hex(zeroblob(51))), "
          "group_concat(hex(zeroblob(52))), group_concat(hex(zeroblob(53))), "
          "group_concat(hex(zeroblob(54))), group_concat(hex(zeroblob(55))), "
          "group_concat(hex(zeroblob(56))), group_concat(hex(zeroblob(57))), "
          "group_concat(hex(zeroblob(49))), group_concat(hex(zeroblob(48))), "
          "group_concat(hex(zeroblob(47))), group_concat(hex(zeroblob(46))) FROM r" },
};

/* It fails alone: another one at the same time does not notice. */
START_TEST(memory_limit)
{
        struct plan *p = make_plan(NULL, 0, over_memory[_i].sql);
        struct plan *other = make_plan(NULL, 0, "SELECT length(hex(zeroblob(400000)))");
        struct seen s = { 0 }, t = { 0 };

        start(&s, p, NULL);
        start(&t, other, NULL);
        finish_run(s.f);
        finish_run(t.f);
        wait_for(&s.n_ends, 1);
        wait_for(&t.n_ends, 1);
        ck_assert_msg(s.e.code == ERR_EXHAUSTED, "%s: %d %s", over_memory[_i].label, s.e.code,
                      s.e.msg);
        ck_assert_str_eq(s.e.reason, "FINISH_MEMORY");
        ck_assert_int_eq(t.e.code, ERR_OK);
        ck_assert_str_eq(t.text, "800000,;");
        done(&s);
        done(&t);
        plan_unref(p);
        plan_unref(other);
}
END_TEST

/* A database that is used again does not add up what it once had. */
START_TEST(memory_is_given_back)
{
        struct plan *p = make_plan(NULL, 0, "SELECT length(hex(randomblob(500000)))");

        for (int i = 0; i < 50; i++) {
                struct seen s = { 0 };

                start(&s, p, NULL);
                finish_run(s.f);
                wait_for(&s.n_ends, 1);
                ck_assert_msg(!s.e.code, "%d: %s", i, s.e.msg);
                done(&s);
        }
        plan_unref(p);
}
END_TEST

START_TEST(row_limit)
{
        struct plan *p = make_plan(&numbers, 1, "SELECT a FROM p0");
        struct buf b = BUF_INIT(0);

        for (uint64_t limit = 9; limit <= 10; limit++) {
                const struct finish_options o = { .max_rows = limit, .chunk_bytes = 8 };
                struct seen s = { 0 };

                start(&s, p, &o);
                for (int i = 0; i < 10; i++)
                        add_row(&b, i, "");
                load(&s, 0, &b, 0);
                finish_run(s.f);
                wait_for(&s.n_ends, 1);
                if (limit == 10) {
                        ck_assert_int_eq(s.e.code, ERR_OK);
                        ck_assert_uint_eq(s.n_rows, 10);
                } else {
                        ck_assert_int_eq(s.e.code, ERR_EXHAUSTED);
                        ck_assert_str_eq(s.e.reason, "RESULT_TOO_LARGE");
                }
                done(&s);
        }
        buf_done(&b);
        plan_unref(p);
}
END_TEST

/* SQLite's errors keep their codes. */
START_TEST(sqlite_errors)
{
        struct plan *p = make_plan(NULL, 0, "SELECT abs(-9223372036854775807 - 1)");
        struct seen s = { 0 };

        start(&s, p, NULL);
        finish_run(s.f);
        wait_for(&s.n_ends, 1);
        ck_assert_int_ne(s.e.code, ERR_OK);
        ck_assert_str_eq(s.e.sqlite_msg, "integer overflow");
        ck_assert_int_eq(s.e.offset, -1);
        done(&s);
        plan_unref(p);
}
END_TEST

START_TEST(rows_that_do_not_decode)
{
        static const char *const rows[] = { "\x12\x05hello", "\x12\x02\x0a\x00",
                                            "\x12\x06\x0a\x00\x0a\x00\x0a\x00", "\x12\x70" };
        struct plan *p = make_plan(&numbers, 1, "SELECT a FROM p0");
        static const size_t sizes[] = { 7, 4, 8, 2 };
        struct buf b = BUF_INIT(0);
        struct seen s = { 0 };

        start(&s, p, NULL);
        buf_add(&b, rows[_i], sizes[_i]);
        load(&s, 0, &b, 0);
        finish_run(s.f);
        wait_for(&s.n_ends, 1);
        ck_assert_int_eq(s.e.code, ERR_INTERNAL);
        ck_assert_str_eq(s.e.reason, "BAD_REPLY");
        done(&s);
        buf_done(&b);
        plan_unref(p);
}
END_TEST

static const char endless[] = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) "
                              "SELECT max(n) FROM r";

START_TEST(deadline)
{
        const struct finish_options o = { .deadline_us = mono_us() + 30000 };
        struct plan *p = make_plan(NULL, 0, endless);
        struct seen s = { 0 };

        start(&s, p, &o);
        finish_run(s.f);
        wait_for(&s.n_ends, 1);
        ck_assert_int_eq(s.e.code, ERR_DEADLINE);
        done(&s);
        plan_unref(p);
}
END_TEST

/* Freed while it is at work: it ends soon, and nobody hears of it. */
START_TEST(freed_at_work)
{
        struct plan *p = make_plan(NULL, 0, endless);
        struct seen s = { 0 };

        start(&s, p, NULL);
        finish_run(s.f);
        linger();
        done(&s);
        plan_unref(p);
        teardown(); /* waits for it */
        ck_assert_uint_eq(s.n_ends, 0);
        setup();
}
END_TEST

START_TEST(freed_in_an_event)
{
        const struct finish_options o = { .chunk_bytes = 8 };
        struct plan *p = make_plan(&numbers, 1, "SELECT a FROM p0");
        struct buf b = BUF_INIT(0);
        struct seen s = { .free_on_rows = true };

        start(&s, p, &o);
        for (int i = 0; i < 100; i++)
                add_row(&b, i, "");
        load(&s, 0, &b, 0);
        finish_run(s.f);
        wait_for(&s.n_chunks, 1);
        for (int i = 0; i < 5; i++)
                linger();
        ck_assert_uint_eq(s.n_chunks, 1);
        ck_assert_uint_eq(s.n_ends, 0);
        done(&s);
        buf_done(&b);
        plan_unref(p);
}
END_TEST

/* So many at a time; others wait in the order in which they came. */
START_TEST(turns)
{
        struct plan *p = make_plan(NULL, 0, "SELECT 1");
        struct seen s[4] = { 0 };

        finishes_free(finishes);
        make_finishes(1 << 20, 1 << 20, 1);
        for (size_t i = 0; i < ARRAY_LEN(s); i++)
                start(&s[i], p, NULL);
        ck_assert(finish_has_turn(s[0].f) && !finish_has_turn(s[1].f));
        ck_assert_uint_eq(finishes_n_running(finishes), 1);
        done(&s[2]); /* gives up waiting */
        done(&s[0]);
        wait_for(&s[1].n_turns, 1);
        ck_assert(!finish_has_turn(s[3].f));
        finish_run(s[1].f);
        wait_for(&s[1].n_ends, 1);
        done(&s[1]);
        wait_for(&s[3].n_turns, 1);
        done(&s[3]);
        ck_assert_uint_eq(finishes_n_running(finishes), 0);
        plan_unref(p);
}
END_TEST

START_TEST(local)
{
        static const struct {
                const char *label, *sql;
                bool here;
                enum err_code code;
        } cases[] = {
                { "constant", "SELECT 1 + 1", true, ERR_OK },
                { "endless", endless, false, ERR_OK },
                { "large", "SELECT zeroblob(1000000)", false, ERR_OK },
                { "many rows", "VALUES (1), (2), (3), (4)", false, ERR_OK },
                { "wrong", "SELECT abs(-9223372036854775807 - 1)", true, ERR_INVALID },
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                struct plan *p = make_plan(NULL, 0, cases[i].sql);
                const struct finish_local l = { .plan = p, .now_ms = 1, .max_rows = 3 };

                for (int again = 0; again < 2; again++) {
                        struct buf b = BUF_INIT(0);
                        enum err_code code = ERR_OK;
                        struct err e = ERR_INIT;
                        bool here = finish_try_local(finishes, &l, &b, &code, &e);

                        ck_assert_msg(here == cases[i].here, "%s", cases[i].label);
                        if (here)
                                ck_assert_msg((code == ERR_OK) == (cases[i].code == ERR_OK), "%s",
                                              cases[i].label);
                        else
                                ck_assert_uint_eq(b.n_bytes, 0);
                        buf_done(&b);
                }
                plan_unref(p);
        }
}
END_TEST

/* One instant a statement, the one it is told. */
START_TEST(now)
{
        const struct finish_options o = { .now_ms = 86400000 };
        struct plan *p = make_plan(NULL, 0, "SELECT datetime('now'), CURRENT_TIMESTAMP");
        struct seen s = { 0 };

        start(&s, p, &o);
        finish_run(s.f);
        wait_for(&s.n_ends, 1);
        ck_assert_str_eq(s.text, "1970-01-02 00:00:00,1970-01-02 00:00:00,;");
        done(&s);
        plan_unref(p);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/finish");
        TCase *t = tcase_create("finish");

        tcase_set_timeout(t, 50);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, rows_become_the_answer);
        tcase_add_test(t, several_parts);
        tcase_add_test(t, chunks_on_demand);
        tcase_add_test(t, spills);
        tcase_add_loop_test(t, spill_limit, 0, ARRAY_LEN(over_disk));
        tcase_add_loop_test(t, memory_limit, 0, ARRAY_LEN(over_memory));
        tcase_add_test(t, memory_is_given_back);
        tcase_add_test(t, row_limit);
        tcase_add_test(t, sqlite_errors);
        tcase_add_loop_test(t, rows_that_do_not_decode, 0, 4);
        tcase_add_test(t, deadline);
        tcase_add_test(t, freed_at_work);
        tcase_add_test(t, freed_in_an_event);
        tcase_add_test(t, turns);
        tcase_add_test(t, local);
        tcase_add_test(t, now);
        suite_add_tcase(s, t);
        return unit_run(s);
}
