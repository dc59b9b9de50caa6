/* Row changes: what is written down while random statements run, done again on a copy, gives the
 * same tables. */
#include <check.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "common/change_apply.h"
#include "common/change_capture.h"
#include "tests/unit/unit.h"

enum { SEEDS = 60, LONG_SEEDS = 1000, TRANSACTIONS = 12, STATEMENTS = 12, MAX_SAVEPOINTS = 4 };

static const char schema[] =
    "CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE, n REAL DEFAULT 5);"
    "CREATE TABLE c(a, b INT REFERENCES p(id) ON DELETE CASCADE ON UPDATE SET NULL, "
    "               v AS (a || '-') VIRTUAL, s AS (b * 2) STORED, d BLOB);"
    "CREATE INDEX c_v ON c(v);"
    "CREATE TABLE w(k TEXT, x INT, y, z AS (x + 1) VIRTUAL, PRIMARY KEY (x, k)) WITHOUT ROWID;"
    "CREATE TABLE u(k TEXT PRIMARY KEY COLLATE NOCASE, v UNIQUE ON CONFLICT REPLACE) WITHOUT ROWID;"
    "CREATE TABLE n(k TEXT PRIMARY KEY, rowid INT, CHECK (k <> 'bad'));"
    "CREATE TABLE i(\"odd \"\" name\" INTEGER PRIMARY KEY AUTOINCREMENT);"
    "CREATE TABLE l(op, what);"
    "CREATE TRIGGER p_u AFTER UPDATE ON p BEGIN INSERT INTO l VALUES ('u', new.name); END;"
    "CREATE TRIGGER p_d AFTER DELETE ON p BEGIN DELETE FROM w WHERE x = old.id; END;"
    "CREATE TRIGGER c_i BEFORE INSERT ON c WHEN new.a = 7 BEGIN SELECT RAISE(FAIL, 'seven'); END;"
    "CREATE TRIGGER c_r BEFORE INSERT ON c WHEN new.a = 9 BEGIN SELECT RAISE(ROLLBACK, 'nine'); "
    "END;"
    "CREATE VIRTUAL TABLE f USING fts5(t);";

static const char *const tables[] = { "p", "c", "w", "u", "n", "i", "l" };

/* ---- two databases */

static sqlite3 *open_db(void)
{
        sqlite3 *db;

        ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
        ck_assert_int_eq(sqlite3_exec(db, "PRAGMA foreign_keys = 1", NULL, NULL, NULL), SQLITE_OK);
        ck_assert_msg(sqlite3_exec(db, schema, NULL, NULL, NULL) == SQLITE_OK, "%s",
                      sqlite3_errmsg(db));
        sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        return db;
}

static int exec(sqlite3 *db, const char *sql)
{
        return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void dump_query(sqlite3 *db, const char *sql, struct buf *b)
{
        sqlite3_stmt *q;

        ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK, "%s: %s", sql,
                      sqlite3_errmsg(db));
        while (sqlite3_step(q) == SQLITE_ROW) {
                for (int i = 0; i < sqlite3_column_count(q); i++) {
                        buf_printf(b, "%d:", sqlite3_column_type(q, i));
                        buf_add(b, sqlite3_column_blob(q, i), (size_t)sqlite3_column_bytes(q, i));
                        buf_add_byte(b, '|');
                }
                buf_add_byte(b, '\n');
        }
        ck_assert_int_eq(sqlite3_finalize(q), SQLITE_OK);
}

static char *dump(sqlite3 *db)
{
        static const char *const keys[] = { "rowid", "rowid", "1", "1", "_rowid_", "1", "rowid" };
        struct buf b = BUF_INIT(0);
        char sql[128];
        char *text;

        for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
                snprintf(sql, sizeof sql, "SELECT %s, * FROM %s ORDER BY 1, 2", keys[i], tables[i]);
                buf_printf(&b, "%s\n", tables[i]);
                dump_query(db, sql, &b);
        }
        dump_query(db, "SELECT id, c0 FROM f_content ORDER BY 1", &b);
        dump_query(db, "SELECT rowid FROM f WHERE f MATCH 'red' ORDER BY 1", &b);
        dump_query(db, "PRAGMA integrity_check", &b);
        dump_query(db, "PRAGMA foreign_key_check", &b);
        text = buf_take_str(&b);
        ck_assert_ptr_nonnull(text);
        return text;
}

/* ---- random statements */

struct world {
        unsigned seed;
        sqlite3 *db;
        struct change_capture capture;
        struct row_changes_mark savepoints[MAX_SAVEPOINTS];
        int n_savepoints;
        uint64_t n_changes, n_errors, n_lost;
};

static unsigned pick(struct world *w, unsigned n)
{
        w->seed = w->seed * 1103515245 + 12345;
        return (w->seed >> 8) % n;
}

static const char *or_what(struct world *w)
{
        static const char *const words[] = { "",        "",         "OR REPLACE", "OR IGNORE",
                                             "OR FAIL", "OR ABORT", "OR ROLLBACK" };

        return words[pick(w, pick(w, 4) ? 6 : 7)];
}

static void write_statement(struct world *w, char *sql, size_t n)
{
        unsigned a = pick(w, 12), b = pick(w, 12), d = pick(w, 12);
        const char *o = or_what(w);

        switch (pick(w, 19)) {
        case 0:
        case 1:
                snprintf(sql, n, "INSERT %s INTO p VALUES (%u, 'N%u', %u), (%u, 'n%u', NULL)", o, a,
                         b, d, d, a);
                break;
        case 2:
                snprintf(sql, n, "INSERT %s INTO c(a, b, d) SELECT %u, id, x'00ff' FROM p LIMIT 3",
                         o, a);
                break;
        case 3:
                snprintf(sql, n, "UPDATE %s p SET id = id + %u, name = 'm%u' WHERE id %% 3 = %u", o,
                         a, b, d % 3);
                break;
        case 4:
                snprintf(sql, n, "DELETE FROM p WHERE id %% 5 = %u", a % 5);
                break;
        case 5:
                snprintf(sql, n, "%s", pick(w, 3) ? "DELETE FROM l" : "DELETE FROM w");
                break;
        case 6:
        case 7:
                snprintf(sql, n, "INSERT %s INTO w(k, x, y) VALUES ('k%u', %u, %u.5)", o, a, b % 4,
                         d);
                break;
        case 8:
                snprintf(sql, n, "UPDATE %s w SET x = x + 1, k = 'K%u' WHERE x = %u", o, a, b % 5);
                break;
        case 9:
        case 10:
                snprintf(sql, n, "INSERT %s INTO u VALUES ('%c', %u)", o,
                         (int)((a & 1 ? 'a' : 'A') + b), d);
                break;
        case 11:
                snprintf(sql, n, "UPDATE %s u SET v = v + %u, k = k || 'x'", o, a % 3);
                break;
        case 12:
                snprintf(sql, n, "INSERT %s INTO n VALUES (%s, %u)", o,
                         a == 0   ? "'bad'"
                         : a == 1 ? "NULL"
                                  : "'n' || abs(random() % 20)",
                         b);
                break;
        case 13:
                snprintf(sql, n, "INSERT INTO i DEFAULT VALUES");
                break;
        case 14:
                snprintf(sql, n, "UPDATE i SET \"odd \"\" name\" = \"odd \"\" name\" + 100");
                break;
        case 15:
                snprintf(sql, n, "INSERT INTO f VALUES ('%s fish %u')", a & 1 ? "red" : "blue", b);
                break;
        case 16:
                snprintf(sql, n, "DELETE FROM f WHERE rowid = %u", a);
                break;
        case 17:
                snprintf(sql, n,
                         "INSERT INTO p VALUES (%u, 'up%u', 1) ON CONFLICT DO UPDATE SET n = n + 1",
                         a, b);
                break;
        default:
                snprintf(sql, n, "UPDATE c SET a = a || 'x', b = %u", a);
                break;
        }
}

/* In a savepoint, as every statement of a transaction. False: the transaction is gone. */
static bool run_statement(struct world *w)
{
        struct row_changes_mark mark = row_changes_mark(&w->capture.changes);
        char sql[256];
        int rc;

        write_statement(w, sql, sizeof sql);
        ck_assert_int_eq(exec(w->db, "SAVEPOINT statement"), SQLITE_OK);
        rc = exec(w->db, sql);
        if (sqlite3_get_autocommit(w->db))
                return false;
        w->n_errors += rc != SQLITE_OK;
        if (rc != SQLITE_OK)
                ck_assert_int_eq(exec(w->db, "ROLLBACK TO statement"), SQLITE_OK);
        ck_assert_int_eq(exec(w->db, "RELEASE statement"), SQLITE_OK);
        if (rc != SQLITE_OK)
                row_changes_cut(&w->capture.changes, mark);
        return true;
}

static void move_savepoints(struct world *w)
{
        char sql[64];
        int i;

        if (w->n_savepoints < MAX_SAVEPOINTS && pick(w, 3) == 0) {
                snprintf(sql, sizeof sql, "SAVEPOINT s%d", w->n_savepoints);
                ck_assert_int_eq(exec(w->db, sql), SQLITE_OK);
                w->savepoints[w->n_savepoints++] = row_changes_mark(&w->capture.changes);
        } else if (w->n_savepoints && pick(w, 4) == 0) {
                i = (int)pick(w, (unsigned)w->n_savepoints);
                snprintf(sql, sizeof sql, "ROLLBACK TO s%d", i);
                ck_assert_int_eq(exec(w->db, sql), SQLITE_OK);
                row_changes_cut(&w->capture.changes, w->savepoints[i]);
                w->n_savepoints = i + 1;
        }
}

/* What virtual tables hold back is written when a savepoint begins. */
static bool is_whole(struct world *w)
{
        int n = 0, highest;

        exec(w->db, "SAVEPOINT flush; RELEASE flush");
        sqlite3_db_status(w->db, SQLITE_DBSTATUS_DEFERRED_FKS, &n, &highest, 0);
        return n == 0;
}

static void run_transaction(struct world *w, sqlite3 *copy)
{
        struct change_apply *apply;
        struct err e = ERR_INIT;
        bool alive = true;

        ck_assert_int_eq(exec(w->db, "BEGIN IMMEDIATE"), SQLITE_OK);
        change_capture_begin(&w->capture, w->db, 0, NULL);
        w->n_savepoints = 0;
        for (unsigned n = pick(w, STATEMENTS) + 1; alive && n; n--) {
                move_savepoints(w);
                alive = run_statement(w);
        }
        if (!alive) {
                w->n_lost++;
        } else if (!is_whole(w)) {
                ck_assert_int_eq(exec(w->db, "ROLLBACK"), SQLITE_OK);
        } else {
                ck_assert_msg(change_capture_check(&w->capture, &e) == ERR_OK, "%s", e.msg);
                w->n_changes += w->capture.changes.n_changes;
                ck_assert_int_eq(exec(copy, "BEGIN IMMEDIATE"), SQLITE_OK);
                apply = change_apply_new(copy);
                ck_assert_msg(change_apply_all(apply, w->capture.changes.bytes.data,
                                               w->capture.changes.bytes.n_bytes, &e) == ERR_OK,
                              "%s: %s", e.reason, e.msg);
                change_apply_free(apply);
                ck_assert_int_eq(exec(w->db, "COMMIT"), SQLITE_OK);
                ck_assert_msg(exec(copy, "COMMIT") == SQLITE_OK, "%s", sqlite3_errmsg(copy));
        }
        change_capture_end(&w->capture);
}

START_TEST(random_test)
{
        uint64_t n_changes = 0, n_errors = 0, n_lost = 0;

        for (unsigned seed = 0; seed < (unit_is_long() ? LONG_SEEDS : SEEDS); seed++) {
                struct world w = { .seed = seed, .db = open_db() };
                sqlite3 *copy = open_db();
                char *a, *b;

                for (int i = 0; i < TRANSACTIONS; i++)
                        run_transaction(&w, copy);
                a = dump(w.db);
                /* Full-text search remembers what its tables held. */
                b = dump(copy);
                ck_assert_msg(strcmp(a, b) == 0, "seed %u\n--- one\n%s\n--- copy\n%s", seed, a, b);
                free(a);
                free(b);
                sqlite3_close(w.db);
                sqlite3_close(copy);
                n_changes += w.n_changes;
                n_errors += w.n_errors;
                n_lost += w.n_lost;
        }
        ck_assert_uint_gt(n_changes, SEEDS * 50);
        ck_assert_uint_gt(n_errors, SEEDS);
        ck_assert_uint_gt(n_lost, SEEDS / 10);
}
END_TEST

/* ---- bytes */

static void fill(struct row_changes *c)
{
        const struct value before[] = { value_integer(INT64_MIN), value_text("a\0b", 3) };
        const struct value after[] = { value_real(-0.5), value_text("a\0b", 3) };
        struct row_change change = { .op = ROW_UPDATE,
                                     .table = "t",
                                     .n_table_bytes = 1,
                                     .old_rowid = -1,
                                     .new_rowid = INT64_MAX,
                                     .n_columns = 2,
                                     .before = before,
                                     .after = after };

        row_changes_add(c, &change);
        change.op = ROW_INSERT;
        change.before = NULL;
        change.table = "other";
        change.n_table_bytes = 5;
        row_changes_add(c, &change);
        change.op = ROW_DELETE;
        change.before = before;
        change.after = NULL;
        row_changes_add(c, &change);
}

START_TEST(round_trip_test)
{
        struct row_changes c = { 0 };
        struct row_changes_reader r;
        struct row_change x;

        fill(&c);
        row_changes_reader_init(&r, c.bytes.data, c.bytes.n_bytes);
        ck_assert(row_changes_next(&r, &x));
        ck_assert_int_eq(x.op, ROW_UPDATE);
        ck_assert_int_eq(x.old_rowid, -1);
        ck_assert_int_eq(x.new_rowid, INT64_MAX);
        ck_assert_int_eq(x.before[0].integer, INT64_MIN);
        ck_assert(x.after[0].real == -0.5);
        ck_assert_mem_eq(x.after[1].data, "a\0b", 3);
        ck_assert(row_changes_next(&r, &x));
        ck_assert_int_eq(x.op, ROW_INSERT);
        ck_assert_ptr_null(x.before);
        ck_assert_mem_eq(x.table, "other", x.n_table_bytes);
        ck_assert(row_changes_next(&r, &x));
        ck_assert_ptr_null(x.after);
        ck_assert_mem_eq(x.table, "other", x.n_table_bytes);
        ck_assert(!row_changes_next(&r, &x));
        ck_assert(!r.failed);
        row_changes_reader_done(&r);
        row_changes_done(&c);
}
END_TEST

/* A table that was named first in what is cut off is named again. */
START_TEST(cut_test)
{
        const struct value one = value_integer(1);
        struct row_change change = {
                .op = ROW_INSERT, .table = "t", .n_table_bytes = 1, .n_columns = 1, .after = &one
        };
        struct row_changes c = { .bytes = BUF_INIT(40) };
        struct row_changes_mark mark = row_changes_mark(&c);
        struct row_changes_reader r;
        struct row_change x;

        row_changes_add(&c, &change);
        row_changes_cut(&c, mark);
        ck_assert_uint_eq(c.bytes.n_bytes, 0);
        row_changes_add(&c, &change);
        mark = row_changes_mark(&c);
        for (int i = 0; i < 20; i++)
                row_changes_add(&c, &change);
        ck_assert(c.bytes.failed);
        row_changes_cut(&c, mark);
        ck_assert(!c.bytes.failed);
        ck_assert_uint_eq(c.n_changes, 1);
        row_changes_reader_init(&r, c.bytes.data, c.bytes.n_bytes);
        ck_assert(row_changes_next(&r, &x));
        ck_assert_mem_eq(x.table, "t", 1);
        ck_assert(!row_changes_next(&r, &x));
        row_changes_reader_done(&r);
        row_changes_done(&c);
}
END_TEST

/* Every shortened or changed list ends or is refused, and reads nothing beyond. */
START_TEST(malformed_test)
{
        struct row_changes c = { 0 };

        fill(&c);
        for (size_t n = 0; n < c.bytes.n_bytes; n++) {
                for (int flip = 0; flip < 256; flip += 5) {
                        uint8_t *copy = xmalloc(n + 1);
                        struct row_changes_reader r;
                        struct row_change x;

                        memcpy(copy, c.bytes.data, n + 1);
                        copy[n] ^= (uint8_t)flip;
                        row_changes_reader_init(&r, copy, n + 1);
                        while (row_changes_next(&r, &x))
                                ck_assert_uint_le(x.n_columns, 32767);
                        row_changes_reader_done(&r);
                        free(copy);
                }
        }
        row_changes_done(&c);
}
END_TEST

/* ---- what cannot be done */

static const struct {
        const char *label, *table, *insert;
        enum err_code want;
} shapes[] = {
        { "plain", "CREATE TABLE t(a, b)", "INSERT INTO t(b) VALUES (1)", ERR_OK },
        { "key first", "CREATE TABLE t(id INTEGER PRIMARY KEY, g AS (1), b)",
          "INSERT INTO t(b) VALUES (1)", ERR_OK },
        { "generated first", "CREATE TABLE t(g AS (1), id INTEGER PRIMARY KEY, b, c)",
          "INSERT INTO t(b) VALUES (1)", ERR_UNIMPLEMENTED },
        { "stored first", "CREATE TABLE t(g AS (1) STORED, id INTEGER PRIMARY KEY, b, c)",
          "INSERT INTO t(b) VALUES (1)", ERR_OK },
        { "no alias", "CREATE TABLE t(g AS (1), id INTEGER PRIMARY KEY DESC, b, c)",
          "INSERT INTO t(b) VALUES (1)", ERR_OK },
        { "no name", "CREATE TABLE t(rowid, _rowid_, oid)", "INSERT INTO t(oid) VALUES (1)",
          ERR_UNIMPLEMENTED },
        { "no name but the key's", "CREATE TABLE t(rowid, _rowid_, oid INTEGER PRIMARY KEY)",
          "INSERT INTO t(oid) VALUES (1)", ERR_OK },
        { "sequence", "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)",
          "INSERT INTO t VALUES (1)", ERR_OK },
        { "sequence itself", "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)",
          "INSERT INTO sqlite_sequence VALUES ('t', 1)", ERR_UNIMPLEMENTED },
        { "rounded key", "CREATE TABLE t(r REAL, k INT PRIMARY KEY) WITHOUT ROWID",
          "INSERT INTO t VALUES (1, 9007199254740993); UPDATE t SET r = 2", ERR_UNIMPLEMENTED },
        { "inserted only", "CREATE TABLE t(r REAL, k INT PRIMARY KEY) WITHOUT ROWID",
          "INSERT INTO t VALUES (1, 9007199254740993)", ERR_OK },
        { "small key", "CREATE TABLE t(r REAL, k INT PRIMARY KEY) WITHOUT ROWID",
          "INSERT INTO t VALUES (1, 9007199254740991); UPDATE t SET r = 2", ERR_OK },
        { "large key first", "CREATE TABLE t(k INT PRIMARY KEY, r REAL) WITHOUT ROWID",
          "INSERT INTO t VALUES (9007199254740993, 1); UPDATE t SET r = 2", ERR_OK },
        { "real key", "CREATE TABLE t(k DOUBLE PRIMARY KEY, r) WITHOUT ROWID",
          "INSERT INTO t VALUES (9007199254740994, 1); UPDATE t SET r = 2", ERR_OK },
        { "too much", "CREATE TABLE t(a)", "INSERT INTO t VALUES (zeroblob(2000))", ERR_EXHAUSTED },
        { "all there is room for", "CREATE TABLE t(a)", "INSERT INTO t VALUES (zeroblob(900))",
          ERR_OK },
        { "another schema", "CREATE TEMP TABLE t(rowid, _rowid_, oid)",
          "INSERT INTO t(oid) VALUES (1)", ERR_OK },
        { "left out", "CREATE TABLE left_out(rowid, _rowid_, oid)",
          "INSERT INTO left_out(oid) VALUES (1)", ERR_OK },
};

static bool is_left_out(const char *table)
{
        return strcmp(table, "left_out") == 0;
}

START_TEST(shape_test)
{
        static const char *const reasons[] = {
                [ERR_UNIMPLEMENTED] = "ROW_CHANGES", [ERR_EXHAUSTED] = "TRANSACTION_TOO_LARGE"
        };
        struct change_capture c;
        struct err e = ERR_INIT;
        enum err_code code;
        sqlite3 *db;

        ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
        ck_assert_int_eq(exec(db, shapes[_i].table), SQLITE_OK);
        change_capture_begin(&c, db, 1000, is_left_out);
        ck_assert_int_eq(exec(db, shapes[_i].insert), SQLITE_OK);
        code = change_capture_check(&c, &e);
        ck_assert_msg(code == shapes[_i].want, "%s: %s", shapes[_i].label, e.msg);
        if (code)
                ck_assert_str_eq(e.reason, reasons[code]);
        /* What is undone is no hindrance. */
        row_changes_cut(&c.changes, (struct row_changes_mark){ 0 });
        ck_assert_int_eq(change_capture_check(&c, &e), ERR_OK);
        change_capture_end(&c);
        sqlite3_close(db);
}
END_TEST

/* Rows or tables that are not as they were are no reason to go on. */
static const char *const missing[] = { "SELECT 1", "DROP TABLE p",
                                       "ALTER TABLE p ADD COLUMN more" };

START_TEST(missing_row_test)
{
        struct change_capture c;
        struct err e = ERR_INIT;
        struct change_apply *a;
        sqlite3 *one = open_db(), *copy = open_db();

        ck_assert_int_eq(exec(copy, missing[_i]), SQLITE_OK);
        ck_assert_int_eq(exec(one, "INSERT INTO p VALUES (1, 'a', 1)"), SQLITE_OK);
        change_capture_begin(&c, one, 0, NULL);
        ck_assert_int_eq(exec(one, "UPDATE p SET n = 2"), SQLITE_OK);
        a = change_apply_new(copy);
        ck_assert_int_eq(change_apply_all(a, c.changes.bytes.data, c.changes.bytes.n_bytes, &e),
                         ERR_DATA_LOSS);
        ck_assert_str_eq(e.reason, "BAD_ROW_CHANGES");
        change_apply_free(a);
        change_capture_end(&c);
        sqlite3_close(one);
        sqlite3_close(copy);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("row_change");
        TCase *t = tcase_create("row_change");

        tcase_set_timeout(t, 60);
        tcase_add_test(t, random_test);
        tcase_add_test(t, round_trip_test);
        tcase_add_test(t, cut_test);
        tcase_add_test(t, malformed_test);
        tcase_add_loop_test(t, shape_test, 0, ARRAY_LEN(shapes));
        tcase_add_loop_test(t, missing_row_test, 0, ARRAY_LEN(missing));
        suite_add_tcase(s, t);
        return unit_run(s);
}
