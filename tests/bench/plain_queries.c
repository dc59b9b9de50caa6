/* plain_queries - how long a query takes on a file of plain SQLite, in process: over and over for a
 * while, each time prepared, stepped to its end and finalised. usage: plain_queries FILE SECONDS
 * SQL; prints one line of JSON. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/util.h"

enum { MAX_RUNS = 100000 };

static sqlite3 *db;

static void check(int rc, int want)
{
        if (rc == want)
                return;
        fprintf(stderr, "plain_queries: %s\n", sqlite3_errmsg(db));
        exit(1);
}

static int64_t run_us(const char *sql)
{
        int64_t began_us = mono_us();
        sqlite3_stmt *stmt;
        int rc;

        check(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
                for (int i = 0; i < sqlite3_column_count(stmt); i++)
                        (void)sqlite3_column_blob(stmt, i);
        check(rc, SQLITE_DONE);
        sqlite3_finalize(stmt);
        return mono_us() - began_us;
}

static double cpu_seconds(void)
{
        return (double)clock() / CLOCKS_PER_SEC;
}

static int compare(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

        return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
        static int64_t runs_us[MAX_RUNS];
        double cpu_s;
        int64_t end_us;
        size_t n = 0;

        if (argc != 4) {
                fputs("usage: plain_queries FILE SECONDS SQL\n", stderr);
                return 2;
        }
        check(sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        (void)run_us(argv[3]); /* reads the file into memory */
        cpu_s = cpu_seconds();
        end_us = mono_us() + (int64_t)(atof(argv[2]) * 1e6);
        while (n < MAX_RUNS && (n == 0 || mono_us() < end_us))
                runs_us[n++] = run_us(argv[3]);
        cpu_s = cpu_seconds() - cpu_s;
        qsort(runs_us, n, sizeof *runs_us, compare);
        printf("{\"runs\": %zu, \"p50_us\": %lld, \"cpu_us\": %.0f}\n", n,
               (long long)runs_us[n / 2], cpu_s * 1e6 / (double)n);
        sqlite3_close(db);
        return 0;
}
