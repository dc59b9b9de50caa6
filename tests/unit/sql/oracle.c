/* oracle.c - see oracle.h. */
#include "tests/unit/sql/oracle.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/arena.h"
#include "common/buf.h"
#include "sql/parse.h"
#include "sql/print.h"

sqlite3 *oracle_open(void)
{
        sqlite3 *db;
        int rc = sqlite3_open(":memory:", &db);

        assert(rc == SQLITE_OK);
        rc = sqlite3_exec(db,
                          "CREATE TABLE t(a, b, c);"
                          "CREATE TABLE u(a, d);"
                          "CREATE TABLE v(x INTEGER PRIMARY KEY, y TEXT);"
                          "CREATE VIEW w AS SELECT a, b FROM t;"
                          "CREATE INDEX t_a ON t(a);",
                          NULL, NULL, NULL);
        assert(rc == SQLITE_OK);
        return db;
}

static bool has_any(const char *msg, const char *const *parts, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (strstr(msg, parts[i]))
                        return true;
        return false;
}

/* By the message, for SQLite has one code for all. */
static enum verdict verdict_of(const char *msg)
{
        /* The first three are its parser's and lexer's, the others come from the parser's actions
         * and are ours too. */
        static const char *const syntax[] = {
                "syntax error",
                "incomplete input",
                "unrecognized token",
                "unknown join type",
                " clause should come ",
                "a JOIN clause is required",
                "unknown table option",
                "unsupported frame specification",
                "variable number must be",
                "qualified table names are not allowed on",
                "INDEXED BY clause is not allowed",
                "NOT INDEXED clause is not allowed",
                "cannot use RETURNING in a trigger",
                "DISTINCT is not supported for window",
        };

        if (strstr(msg, "parser stack overflow") || strstr(msg, "Expression tree is too large"))
                return VERDICT_TOO_DEEP;
        return has_any(msg, syntax, ARRAY_LEN(syntax)) ? VERDICT_SYNTAX : VERDICT_OTHER;
}

void oracle_ask(sqlite3 *db, const char *sql, size_t n_bytes, struct oracle_answer *ret_answer)
{
        struct oracle_answer a = { .offset = -1, .tail = n_bytes };
        sqlite3_stmt *stmt = NULL;
        const char *tail = NULL;

        if (sqlite3_prepare_v2(db, sql, (int)n_bytes, &stmt, &tail) != SQLITE_OK) {
                snprintf(a.msg, sizeof a.msg, "%s", sqlite3_errmsg(db));
                a.offset = sqlite3_error_offset(db);
                a.verdict = verdict_of(a.msg);
        } else if (tail) {
                a.tail = (size_t)(tail - sql);
        }
        sqlite3_finalize(stmt);
        *ret_answer = a;
}

static const char *print_again(const struct sql_stmt *st, struct buf *b)
{
        struct err err = ERR_INIT;
        static char problem[2 * ERR_MSG_BYTES];

        b->n_bytes = 0;
        if (sql_print(b, st, NULL, &err)) {
                snprintf(problem, sizeof problem, "cannot be printed: %s", err.msg);
                return problem;
        }
        buf_add_byte(b, 0);
        b->n_bytes--;
        return NULL;
}

const char *oracle_round_trip(const struct sql_stmt *st)
{
        static char problem[4096];
        cleanup_(buf_done) struct buf first = BUF_INIT(0);
        cleanup_(buf_done) struct buf second = BUF_INIT(0);
        cleanup_(arena_freep) struct arena *a = arena_new(64 << 20);
        struct sql_stmt *again;
        struct err err = ERR_INIT;
        const char *wrong = print_again(st, &first);

        if (wrong)
                return wrong;
        if (sql_parse(a, (const char *)first.data, first.n_bytes, &again, NULL, &err)) {
                snprintf(problem, sizeof problem, "printed as %.2000s, which is refused: %s",
                         (const char *)first.data, err.msg);
                return problem;
        }
        if (!sql_equal(st, again, false)) {
                snprintf(problem, sizeof problem, "printed as %.2000s, which is another tree",
                         (const char *)first.data);
                return problem;
        }
        wrong = print_again(again, &second);
        if (wrong)
                return wrong;
        if (strcmp((const char *)first.data, (const char *)second.data) != 0) {
                snprintf(problem, sizeof problem, "printed as %.1500s, then as %.1500s",
                         (const char *)first.data, (const char *)second.data);
                return problem;
        }
        return NULL;
}

/* SQLite looks at some names while it reads: what comes behind the first that it does not like, it
 * never sees. So it must say the same of the text up to where we found fault. */
static bool stopped_earlier(sqlite3 *db, const char *sql, const struct oracle_answer *theirs,
                            const struct err *ours)
{
        struct oracle_answer of_prefix;

        /* What actions find, later ones may hide behind what they find in the same breath. */
        if (!strstr(ours->sqlite_msg, "syntax error") &&
            !strstr(ours->sqlite_msg, "incomplete input") &&
            !strstr(ours->sqlite_msg, "unrecognized token"))
                return true;
        if (strncmp(ours->sqlite_msg, "near \"#", 7) == 0)
                return true;
        oracle_ask(db, sql, (size_t)ours->offset, &of_prefix);
        return of_prefix.verdict == VERDICT_OTHER && strcmp(of_prefix.msg, theirs->msg) == 0;
}

static const char *compare_failure(sqlite3 *db, const char *sql, const struct oracle_answer *theirs,
                                   const struct err *ours)
{
        static char problem[2048];
        bool is_same;

        if (theirs->verdict == VERDICT_TOO_DEEP || ours->code == ERR_EXHAUSTED)
                return NULL;
        is_same = strcmp(ours->sqlite_msg, theirs->msg) == 0;
        if (theirs->verdict == VERDICT_OTHER && !is_same && stopped_earlier(db, sql, theirs, ours))
                return NULL;
        if (!is_same || (theirs->offset >= 0 && ours->offset != theirs->offset)) {
                snprintf(problem, sizeof problem, "we say \"%s\" at %d, SQLite \"%s\" at %d",
                         ours->sqlite_msg, ours->offset, theirs->msg, theirs->offset);
                return problem;
        }
        if (ours->code != ERR_INVALID || strcmp(ours->reason, "SYNTAX_ERROR") != 0 ||
            ours->extended_code != SQLITE_ERROR)
                return "the error is not of the right kind";
        return NULL;
}

/* Our own words behind a CREATE TABLE, which SQLite cannot know. */
static bool is_shoal_option(const char *msg)
{
        static const char *const words[] = { "shard", "unsharded", "reference" };
        static const char prefix[] = "unknown table option: ";

        for (size_t i = 0; i < ARRAY_LEN(words); i++)
                if (strncmp(msg, prefix, strlen(prefix)) == 0 &&
                    strcasecmp(msg + strlen(prefix), words[i]) == 0)
                        return true;
        return false;
}

static bool has_word(const char *sql, size_t n_bytes, const char *word)
{
        size_t n = strlen(word);

        for (size_t i = 0; i + n <= n_bytes; i++)
                if (strncasecmp(sql + i, word, n) == 0)
                        return true;
        return false;
}

const char *oracle_compare(sqlite3 *db, const char *sql, size_t n_bytes)
{
        static char problem[2048];
        cleanup_(arena_freep) struct arena *a = arena_new(64 << 20);
        struct oracle_answer theirs;
        struct sql_stmt *st = NULL;
        struct err err = ERR_INIT;
        size_t tail = 0;

        oracle_ask(db, sql, n_bytes, &theirs);
        if (is_shoal_option(theirs.msg))
                return NULL;
        if (sql_parse(a, sql, n_bytes, &st, &tail, &err)) {
                /* With IF NOT EXISTS SQLite does not look at the columns of a table that exists. */
                if (!theirs.verdict && strstr(err.sqlite_msg, "error in generated column"))
                        return NULL;
                /* Perhaps SQLite's EXPLAIN of an ANALYZE, perhaps our EXPLAIN ANALYZE. */
                if (strstr(theirs.msg, "near") && has_word(sql, n_bytes, "EXPLAIN") &&
                    has_word(sql, n_bytes, "ANALYZE"))
                        return NULL;
                return compare_failure(db, sql, &theirs, &err);
        }
        if (st->explain == SQL_EXPLAIN_ANALYZE)
                return oracle_round_trip(st);
        if (theirs.verdict == VERDICT_SYNTAX) {
                snprintf(problem, sizeof problem, "we take it, SQLite says \"%s\"", theirs.msg);
                return problem;
        }
        if (theirs.verdict == VERDICT_FINE && st->type != SQL_EMPTY && tail != theirs.tail) {
                snprintf(problem, sizeof problem, "we stop at %zu, SQLite at %zu", tail,
                         theirs.tail);
                return problem;
        }
        return oracle_round_trip(st);
}
