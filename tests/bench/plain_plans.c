/* plain_plans - what sqlite3_prepare_v2() takes for the statements of plan_cost, in a database of
 * the same schema: as SQLite comes, that is without what the gate sets up for itself, and so in a
 * program of its own. Prints a line of JSON a statement. */
#include <sqlite3.h>
#include <string.h>

#include "tests/bench/plan_texts.h"

static sqlite3 *db;

static void check(int rc, const char *what)
{
        if (rc == SQLITE_OK)
                return;
        fprintf(stderr, "plain_plans: %s: %s\n", what, sqlite3_errmsg(db));
        exit(1);
}

/* Microseconds a statement. */
static double time_block(const char *format)
{
        static bench_text texts[N_BLOCK];
        double began_us;

        bench_make_texts(format, texts);
        began_us = bench_cpu_us();
        for (unsigned i = 0; i < N_BLOCK; i++) {
                sqlite3_stmt *stmt;

                check(sqlite3_prepare_v2(db, texts[i], -1, &stmt, NULL), texts[i]);
                sqlite3_finalize(stmt);
        }
        return (bench_cpu_us() - began_us) / N_BLOCK;
}

int main(int argc, char **argv)
{
        static double fresh[MAX_ROUNDS], literals[MAX_ROUNDS];
        unsigned n_rounds = bench_rounds(argc, argv);

        if (!n_rounds)
                return 2;
        check(sqlite3_open(":memory:", &db), "open");
        for (unsigned i = 0; i < N_TABLES; i++)
                check(sqlite3_exec(db, bench_tables[i], NULL, NULL, NULL), bench_tables[i]);
        for (unsigned i = 0; i < ARRAY_LEN(bench_statements); i++) {
                for (unsigned r = 0; r < n_rounds; r++) {
                        fresh[r] = time_block(bench_statements[i].fresh);
                        literals[r] = time_block(bench_statements[i].again);
                }
                printf("{\"statement\": \"%s\", \"fresh_us\": %.3f, \"literals_us\": %.3f}\n",
                       bench_statements[i].label, bench_median(fresh, n_rounds),
                       bench_median(literals, n_rounds));
        }
        sqlite3_close(db);
        return 0;
}
