/* Statistics of tables: kept, told to gates, gone with their table. */
#include "tests/unit/topo/fixture.h"
#include "topo/statistics.h"

static uint64_t keyspace, epoch;

static void set_up(void)
{
        fx_start();
        fx_tablet("t0");
        epoch = fx_gate("g0", 1);
        keyspace = fx_keyspace("main");
        fx_table(keyspace, 0, "g0", epoch, "t");
        fx_table(keyspace, 1, "g0", epoch, "u");
}

static struct fx_answer put(const char *const *tables, size_t n, uint64_t rows,
                            bool only_if_changed)
{
        Shoal__V1__PutStatisticsRequest rq = SHOAL__V1__PUT_STATISTICS_REQUEST__INIT;
        Shoal__V1__TableStatistics items[STATISTICS_MAX_TABLES + 1];
        Shoal__V1__TableStatistics *pointers[STATISTICS_MAX_TABLES + 1];
        Shoal__V1__IndexStatistics index = SHOAL__V1__INDEX_STATISTICS__INIT,
                                   *indexes[] = { &index };
        uint64_t distinct[] = { rows / 2 };

        index.name = (char *)(uintptr_t) "i";
        index.rows = rows;
        index.n_distinct = 1;
        index.distinct = distinct;
        for (size_t i = 0; i < n; i++) {
                shoal__v1__table_statistics__init(&items[i]);
                items[i].table = (char *)(uintptr_t)tables[i];
                items[i].rows = rows;
                items[i].n_indexes = 1;
                items[i].indexes = indexes;
                pointers[i] = &items[i];
        }
        rq.keyspace_id = keyspace;
        rq.n_tables = n;
        rq.tables = pointers;
        rq.only_if_changed = only_if_changed;
        return fx_call(&statistics_put, &rq.base, &shoal__v1__put_statistics_response__descriptor);
}

/* The version afterwards. */
static uint64_t put_ok(const char *table, uint64_t rows, bool only_if_changed)
{
        struct fx_answer a = put(&table, 1, rows, only_if_changed);
        uint64_t version;

        fx_assert_ok(&a);
        version = ((Shoal__V1__PutStatisticsResponse *)a.reply)->version;
        fx_done(&a);
        return version;
}

static Shoal__V1__GetStatisticsResponse *get(uint64_t since)
{
        Shoal__V1__GetStatisticsRequest rq = SHOAL__V1__GET_STATISTICS_REQUEST__INIT;
        struct fx_answer a;

        rq.since_version = since;
        a = fx_call(&statistics_get, &rq.base, &shoal__v1__get_statistics_response__descriptor);
        fx_assert_ok(&a);
        return (Shoal__V1__GetStatisticsResponse *)a.reply;
}

/* Of one table; UINT64_MAX: nothing is known. */
static uint64_t rows_of(const char *table)
{
        Shoal__V1__GetStatisticsResponse *r = get(0);
        uint64_t rows = UINT64_MAX;

        for (size_t i = 0; i < r->n_tables; i++)
                if (!strcmp(r->tables[i]->statistics->table, table)) {
                        ck_assert_uint_eq(r->tables[i]->keyspace_id, keyspace);
                        rows = r->tables[i]->statistics->rows;
                }
        shoal__v1__get_statistics_response__free_unpacked(r, NULL);
        return rows;
}

static uint64_t heartbeat_version(void)
{
        struct fx_answer a = fx_gate_beat("g0", "127.0.0.1:9", 1);
        uint64_t version;

        fx_assert_ok(&a);
        version = ((Shoal__V1__GateHeartbeatResponse *)a.reply)->statistics_version;
        fx_done(&a);
        return version;
}

START_TEST(what_is_put_is_told)
{
        uint64_t first, second;
        Shoal__V1__GetStatisticsResponse *r;

        ck_assert_uint_eq(heartbeat_version(), 0);
        first = put_ok("t", 1000, false);
        ck_assert_uint_eq(heartbeat_version(), first);
        second = put_ok("U", 50, false);
        ck_assert_uint_lt(first, second);
        ck_assert_uint_eq(rows_of("t"), 1000);
        ck_assert_uint_eq(rows_of("U"), 50);
        r = get(first);
        ck_assert_uint_eq(r->n_tables, 1);
        ck_assert_str_eq(r->tables[0]->statistics->table, "U");
        ck_assert_uint_eq(r->tables[0]->statistics->indexes[0]->distinct[0], 25);
        ck_assert_uint_eq(r->version, second);
        ck_assert(!r->more);
        shoal__v1__get_statistics_response__free_unpacked(r, NULL);
        r = get(second);
        ck_assert_uint_eq(r->n_tables, 0);
        shoal__v1__get_statistics_response__free_unpacked(r, NULL);
}
END_TEST

START_TEST(it_does_not_change_the_topology)
{
        Shoal__V1__Topology *before = fx_topology(), *after;

        put_ok("t", 1000, false);
        after = fx_topology();
        ck_assert_uint_eq(before->version, after->version);
        ck_assert_uint_eq(before->keyspaces[0]->schema_version,
                          after->keyspaces[0]->schema_version);
        shoal__v1__topology__free_unpacked(before, NULL);
        shoal__v1__topology__free_unpacked(after, NULL);
}
END_TEST

static const struct {
        const char *label;
        uint64_t before, after;
        bool only_if_changed, stored;
} changes[] = {
        { "a fifth more", 1000, 1250, true, false },
        { "more than that", 1000, 1260, true, true },
        { "a fifth less", 1000, 800, true, false },
        { "less than that", 1000, 798, true, true },
        { "the same, but said so", 1000, 1000, false, true },
        { "nothing any more", 1000, 0, true, true },
        { "still nothing", 0, 0, true, false },
        { "something at last", 0, 2, true, true },
};

START_TEST(what_is_much_the_same_is_left_alone)
{
        uint64_t before = put_ok("t", changes[_i].before, false);
        uint64_t after = put_ok("t", changes[_i].after, changes[_i].only_if_changed);

        ck_assert_msg((before != after) == changes[_i].stored, "%s", changes[_i].label);
        ck_assert_uint_eq(rows_of("t"),
                          changes[_i].stored ? changes[_i].after : changes[_i].before);
}
END_TEST

START_TEST(they_go_with_their_table)
{
        Shoal__V1__BeginSchemaChangeRequest rq = SHOAL__V1__BEGIN_SCHEMA_CHANGE_REQUEST__INIT;
        struct fx_answer begun, ended;

        put_ok("t", 1000, false);
        put_ok("u", 1000, false);
        rq.keyspace_id = keyspace;
        rq.expected_version = 2;
        rq.gate = (char *)(uintptr_t) "g0";
        rq.gate_epoch = epoch;
        rq.sql = (char *)(uintptr_t) "DROP";
        rq.drop_table = (char *)(uintptr_t) "t";
        begun = fx_call(&schema_begin, &rq.base, &shoal__v1__schema_change__descriptor);
        fx_assert_ok(&begun);
        ended = fx_end(keyspace, ((Shoal__V1__SchemaChange *)begun.reply)->id, "g0", epoch,
                       SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_DONE);
        fx_assert_ok(&ended);
        fx_done(&begun);
        fx_done(&ended);
        ck_assert_uint_eq(rows_of("t"), UINT64_MAX);
        ck_assert_uint_eq(rows_of("u"), 1000);
        /* It is gone: nothing is kept of it any more. */
        put_ok("t", 5, false);
        ck_assert_uint_eq(rows_of("t"), UINT64_MAX);
        ended = fx_drop("main", true);
        fx_assert_ok(&ended);
        fx_done(&ended);
        ck_assert_uint_eq(rows_of("u"), UINT64_MAX);
}
END_TEST

START_TEST(they_are_there_after_a_restart)
{
        uint64_t version = put_ok("t", 1000, false);

        fx_restart();
        fx_gate("g0", 1);
        ck_assert_uint_eq(heartbeat_version(), version);
        ck_assert_uint_eq(rows_of("t"), 1000);
}
END_TEST

START_TEST(requests_have_limits)
{
        const char *names[STATISTICS_MAX_TABLES + 1];
        char buffer[STATISTICS_MAX_TABLES + 1][16];
        struct fx_answer a;

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                snprintf(buffer[i], sizeof buffer[i], "t%zu", i);
                names[i] = buffer[i];
        }
        a = put(names, STATISTICS_MAX_TABLES, 1, false);
        fx_assert_ok(&a);
        fx_done(&a);
        a = put(names, STATISTICS_MAX_TABLES + 1, 1, false);
        fx_assert_failed(&a, ERR_EXHAUSTED, "TOPO_LIMIT");
        names[0] = "t";
        names[1] = "T";
        a = put(names, 2, 1, false);
        fx_assert_failed(&a, ERR_INVALID, "BAD_STATISTICS");
        keyspace += 100;
        a = put(names, 1, 1, false);
        fx_assert_failed(&a, ERR_NOT_FOUND, "UNKNOWN_KEYSPACE");
}
END_TEST

/* More than an answer holds come in several, each of whole revisions. */
START_TEST(long_answers_come_in_pieces)
{
        enum { N = 40, NAME_BYTES = 60000 };
        cleanup_(freep) char *name = xmalloc(NAME_BYTES + 1);
        size_t n = 0, n_answers = 0;
        uint64_t since = 0;
        bool more = true;

        memset(name, 'i', NAME_BYTES);
        name[NAME_BYTES] = '\0';
        for (uint64_t i = 0; i < N; i++) {
                char table[16];
                Shoal__V1__PutStatisticsRequest rq = SHOAL__V1__PUT_STATISTICS_REQUEST__INIT;
                Shoal__V1__TableStatistics t = SHOAL__V1__TABLE_STATISTICS__INIT,
                                           *tables[] = { &t };
                Shoal__V1__IndexStatistics x = SHOAL__V1__INDEX_STATISTICS__INIT, *list[] = { &x };
                struct fx_answer a;

                snprintf(table, sizeof table, "x%d", (int)i);
                fx_table(keyspace, 2 + i, "g0", epoch, table);
                t.table = table;
                t.rows = 1;
                x.name = name;
                t.n_indexes = 1;
                t.indexes = list;
                rq.keyspace_id = keyspace;
                rq.n_tables = 1;
                rq.tables = tables;
                a = fx_call(&statistics_put, &rq.base,
                            &shoal__v1__put_statistics_response__descriptor);
                fx_assert_ok(&a);
                fx_done(&a);
        }
        while (more) {
                Shoal__V1__GetStatisticsResponse *r = get(since);

                ck_assert_uint_lt(shoal__v1__get_statistics_response__get_packed_size(r),
                                  STATISTICS_MAX_BYTES + 2 * NAME_BYTES);
                ck_assert_uint_lt(since, r->version);
                n += r->n_tables;
                n_answers++;
                since = r->version;
                more = r->more;
                shoal__v1__get_statistics_response__free_unpacked(r, NULL);
        }
        ck_assert_uint_eq(n, N);
        ck_assert_uint_ge(n_answers, 2);
        ck_assert_uint_eq(since, heartbeat_version());
}
END_TEST

int main(void)
{
        Suite *s = suite_create("topo/statistics");
        TCase *t = tcase_create("statistics");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, set_up, fx_stop);
        tcase_add_test(t, what_is_put_is_told);
        tcase_add_test(t, it_does_not_change_the_topology);
        tcase_add_loop_test(t, what_is_much_the_same_is_left_alone, 0, ARRAY_LEN(changes));
        tcase_add_test(t, they_go_with_their_table);
        tcase_add_test(t, they_are_there_after_a_restart);
        tcase_add_test(t, requests_have_limits);
        tcase_add_test(t, long_answers_come_in_pieces);
        suite_add_tcase(s, t);
        return unit_run(s);
}
