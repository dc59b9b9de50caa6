/* query.h - SQL through a gate: a result as it comes. Owner: the main thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/remote.h"
#include "common/err.h"
#include "common/value.h"
#include "proto/shoal/v1/api.pb-c.h"

enum { QUERY_MAX_COLUMNS = 32767 };

struct query {
        const char *keyspace;
        const char *session; /* "" for none */
        const char *sql;
        size_t n_bytes;
        bool with_stats;
};

/* What is told while the answer comes in. arg is the caller's. */
struct query_events {
        void (*columns)(void *arg, const char *const *names,
                        size_t n); /* once, if there are any; before the rows */
        void (*row)(void *arg, const struct value *values, size_t n);
};

struct query_result {
        uint64_t n_rows;
        size_t n_columns;
        int64_t rows_affected;
        bool in_transaction;
        char *session;                /* "" if none; malloc'ed */
        Shoal__V1__QueryStats *stats; /* NULL if there are none */
};

/* Runs one statement. *ret_result is filled on an error too, with what came before it; it is to be
 * given to query_result_done(). NULL bytes in the SQL are refused (ERR_INVALID). */
enum err_code query_run(struct remote *gate, const struct query *q, const struct query_events *ev,
                        void *arg, struct query_result *ret_result, struct err *reterr) must_check_;
void query_result_done(struct query_result *r);

/* Names of the columns of a statement, without running it. *ret_names: each and the array
 * malloc'ed. */
enum err_code query_describe(struct remote *gate, const char *keyspace, const char *sql,
                             char ***ret_names, size_t *ret_n, struct err *reterr) must_check_;
void query_names_free(char **names, size_t n);
