/* stmt_cache_int.h - the prepared statements of one connection, found by their text. Bounded by
 * number and memory; the one used longest ago goes first. Owner: whoever owns the connection. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <xxhash.h>

#define HASH_FUNCTION(key, n, ret) ((ret) = (unsigned)XXH3_64bits((key), (n)))
#include <uthash.h>

#include "common/err.h"

struct cached_stmt {
        sqlite3_stmt *stmt;
        int n_params;
        bool is_kept;   /* in the cache; otherwise it goes when it is put back */
        bool is_in_use; /* since stmt_cache_take() */
        size_t n_bytes;
        struct cached_stmt *prev, *next;
        UT_hash_handle hh;
        size_t n_sql_bytes;
        char sql[];
};

struct stmt_cache {
        sqlite3 *db;
        struct cached_stmt *by_sql;
        struct cached_stmt *by_use; /* used longest ago first */
        size_t n, n_bytes;
        size_t max, max_bytes;
};

void stmt_cache_init(struct stmt_cache *cache, sqlite3 *db, size_t max, size_t max_bytes);
void stmt_cache_done(struct stmt_cache *cache);

/* The statement if it is prepared already and not in use, else NULL. */
struct cached_stmt *stmt_cache_find(struct stmt_cache *cache, const char *sql, size_t n_sql_bytes);
/* Prepares it. SQLite's result code; SQLITE_OK with *ret_stmt NULL if the text is not exactly one
 * statement, and *ret_count then tells how many there are (0, or 2 for more than one). */
int stmt_cache_prepare(struct stmt_cache *cache, const char *sql, size_t n_sql_bytes,
                       struct cached_stmt **ret_stmt, int *ret_count) must_check_;
/* It is in use until it is put back. */
static inline void stmt_cache_take(struct cached_stmt *cs)
{
        cs->is_in_use = true;
}
/* Resets it and lets go of what was bound. */
void stmt_cache_put(struct stmt_cache *cache, struct cached_stmt *cs);
