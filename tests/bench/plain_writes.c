/* plain_writes - what plain SQLite does in one process: writers that share a connection, one
 * transaction a row, WAL, synchronous=FULL. usage: plain_writes FILE THREADS SECONDS; prints one
 * line of JSON. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

enum { N_IDS = 100000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sqlite3 *db;
static sqlite3_stmt *insert;
static atomic_bool stop;
static atomic_ullong n_done;

static void check(int rc, int want)
{
        if (rc == want)
                return;
        fprintf(stderr, "plain_writes: %s\n", sqlite3_errmsg(db));
        exit(1);
}

static void *write_rows(void *arg)
{
        unsigned seed = (unsigned)(uintptr_t)arg;

        while (!atomic_load(&stop)) {
                pthread_mutex_lock(&mutex);
                sqlite3_bind_int64(insert, 1, rand_r(&seed) % N_IDS);
                check(sqlite3_step(insert), SQLITE_DONE);
                sqlite3_reset(insert);
                pthread_mutex_unlock(&mutex);
                atomic_fetch_add(&n_done, 1);
        }
        return NULL;
}

int main(int argc, char **argv)
{
        pthread_t threads[256];
        unsigned n_threads;
        double seconds;
        int64_t started_us;

        if (argc != 4 || (n_threads = (unsigned)atoi(argv[2])) == 0 ||
            n_threads > ARRAY_LEN(threads)) {
                fputs("usage: plain_writes FILE THREADS SECONDS\n", stderr);
                return 2;
        }
        seconds = atof(argv[3]);
        check(sqlite3_open(argv[1], &db), SQLITE_OK);
        check(
            sqlite3_exec(db,
                         "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=0;"
                         "CREATE TABLE IF NOT EXISTS w (id INTEGER PRIMARY KEY, v TEXT)",
                         NULL, NULL, NULL),
            SQLITE_OK);
        check(sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO w VALUES (?1, hex(zeroblob(50)))", -1,
                                 &insert, NULL),
              SQLITE_OK);
        started_us = mono_us();
        for (unsigned i = 0; i < n_threads; i++)
                if (pthread_create(&threads[i], NULL, write_rows, (void *)(uintptr_t)(i + 1)))
                        return 1;
        while ((double)(mono_us() - started_us) < seconds * 1e6)
                sqlite3_sleep(10);
        atomic_store(&stop, true);
        for (unsigned i = 0; i < n_threads; i++)
                pthread_join(threads[i], NULL);
        printf("{\"calls\": %u, \"requests_per_s\": %.1f}\n", n_threads,
               (double)atomic_load(&n_done) * 1e6 / (double)(mono_us() - started_us));
        sqlite3_finalize(insert);
        sqlite3_close(db);
        return 0;
}
