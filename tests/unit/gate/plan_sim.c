/* plan_sim.c - see plan_sim.h. */
#include "tests/unit/gate/plan_sim.h"

#include <check.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/key_range.h"
#include "common/partial_agg.h"
#include "common/sqlite_now.h"
#include "common/wire.h"
#include "gate/key_set.h"
#include "gate/plan_cache.h"
#include "gate/shard_bits.h"
#include "tests/unit/unit.h"

enum { MAX_SHARDS = 64, MAX_ITEMS = 64 };

struct sim {
        unsigned n_shards;
        sqlite3 *shards[MAX_SHARDS];
        sqlite3 *oracle;
        Shoal__V1__Keyspace keyspace;
        Shoal__V1__Shard shard_messages[MAX_SHARDS];
        Shoal__V1__Shard *shard_list[MAX_SHARDS];
        Shoal__V1__Table *tables[MAX_ITEMS];
        Shoal__V1__SchemaObject *objects[MAX_ITEMS];
        char names[MAX_SHARDS][KEY_RANGE_NAME_BYTES];
        struct catalog *catalog;
        struct plan_cache *plans;
        struct plan *kept[512]; /* of DDL: the messages above lie in them */
        size_t n_kept;
        size_t n_keyed;
};

static sqlite3 *open_db(void)
{
        sqlite3 *db;

        ck_assert_int_eq(sqlite_now_register(), SQLITE_OK);
        ck_assert_int_eq(sqlite3_open_v2(":memory:", &db,
                                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                         SQLITE_NOW_VFS),
                         SQLITE_OK);
        sqlite3_extended_result_codes(db, 1);
        ck_assert_int_eq(partial_agg_register(db), SQLITE_OK);
        return db;
}

static void refresh_catalog(struct sim *s)
{
        struct err e = ERR_INIT;

        s->catalog = catalog_unref(s->catalog);
        ck_assert_msg(catalog_new(&s->keyspace, &s->catalog, &e) == ERR_OK, "%s", e.msg);
}

struct sim *sim_new(unsigned n_shards)
{
        struct sim *s = xcalloc(1, sizeof *s);

        s->n_shards = n_shards;
        shoal__v1__keyspace__init(&s->keyspace);
        s->keyspace.name = (char *)"main";
        s->keyspace.id = 1;
        s->keyspace.schema_version = 1;
        for (unsigned i = 0; i < n_shards; i++) {
                struct key_range r = key_range_of_n(i, n_shards);

                key_range_name(&r, s->names[i]);
                shoal__v1__shard__init(&s->shard_messages[i]);
                s->shard_messages[i].name = s->names[i];
                s->shard_messages[i].epoch = 1;
                s->shard_list[i] = &s->shard_messages[i];
                s->shards[i] = open_db();
        }
        s->keyspace.shards = s->shard_list;
        s->keyspace.n_shards = n_shards;
        s->keyspace.tables = s->tables;
        s->keyspace.objects = s->objects;
        s->oracle = open_db();
        s->plans = plan_cache_new(1 << 20);
        refresh_catalog(s);
        return s;
}

struct sim *sim_free(struct sim *s)
{
        if (!s)
                return NULL;
        for (unsigned i = 0; i < s->n_shards; i++)
                sqlite3_close_v2(s->shards[i]);
        sqlite3_close_v2(s->oracle);
        plan_cache_free(s->plans);
        catalog_unref(s->catalog);
        for (size_t i = 0; i < s->n_kept; i++)
                plan_unref(s->kept[i]);
        free(s);
        return NULL;
}

struct catalog *sim_catalog(struct sim *s)
{
        return s->catalog;
}

/* ---- results */

void sim_result_done(struct sim_result *r)
{
        for (size_t i = 0; i < r->n_rows; i++)
                free(r->rows[i]);
        free(r->rows);
        *r = (struct sim_result){ 0 };
}

static int compare_rows(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

void sim_result_sort(struct sim_result *r)
{
        if (r->n_rows)
                qsort(r->rows, r->n_rows, sizeof *r->rows, compare_rows);
}

/* Reals to 11 digits: sums may differ in the last ones. */
static void print_value(sqlite3_stmt *stmt, int i, struct buf *b)
{
        switch (sqlite3_column_type(stmt, i)) {
        case SQLITE_NULL:
                buf_add_str(b, "NULL");
                break;
        case SQLITE_INTEGER:
                buf_printf(b, "i%lld", (long long)sqlite3_column_int64(stmt, i));
                break;
        case SQLITE_FLOAT:
                buf_printf(b, "r%.11g",
                           sqlite3_column_double(stmt, i) == 0 ? 0.0
                                                               : sqlite3_column_double(stmt, i));
                break;
        default:
                buf_printf(b, "%c%d:", sqlite3_column_type(stmt, i) == SQLITE_TEXT ? 't' : 'b',
                           sqlite3_column_bytes(stmt, i));
                buf_add(b, sqlite3_column_blob(stmt, i), (size_t)sqlite3_column_bytes(stmt, i));
        }
}

static void add_row(struct sim_result *r, sqlite3_stmt *stmt)
{
        struct buf b = BUF_INIT(0);

        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
                buf_add_str(&b, i ? "|" : "");
                print_value(stmt, i, &b);
        }
        r->rows = xrealloc(r->rows, (r->n_rows + 1) * sizeof *r->rows);
        r->rows[r->n_rows++] = buf_take_str(&b);
}

static void set_error(struct sim_result *r, sqlite3 *db)
{
        err_set(&r->err, ERR_UNKNOWN, "SQLITE", "%s", sqlite3_errmsg(db));
        r->err.extended_code = sqlite3_extended_errcode(db);
        r->code = ERR_UNKNOWN;
}

/* ---- running a part */

/* load: the statement that loads a row into the finish database; NULL: rows are the answer. rows:
 * gets them encoded too, unless it is NULL. */
static bool run_sql(sqlite3 *db, const char *sql, const struct plan_values *v, sqlite3_stmt *load,
                    struct buf *rows, struct sim_result *r)
{
        struct buf encoded = BUF_INIT(0);
        sqlite3_stmt *stmt = NULL;
        int step = SQLITE_ERROR;

        if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK) {
                for (int i = 0; i < sqlite3_bind_parameter_count(stmt); i++)
                        ck_assert_int_eq(value_bind(stmt, i + 1, &v->values[i]), SQLITE_OK);
                while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
                        value_add_row(&encoded, stmt, sqlite3_column_count(stmt));
                        if (rows)
                                value_add_row(rows, stmt, sqlite3_column_count(stmt));
                        if (!load) {
                                add_row(r, stmt);
                                continue;
                        }
                        ck_assert_msg(sqlite3_column_count(stmt) ==
                                          sqlite3_bind_parameter_count(load),
                                      "%s", sql);
                        for (int i = 0; i < sqlite3_column_count(stmt); i++)
                                sqlite3_bind_value(load, i + 1, sqlite3_column_value(stmt, i));
                        ck_assert_msg(sqlite3_step(load) == SQLITE_DONE, "%s: %s",
                                      sqlite3_sql(load), sqlite3_errmsg(sqlite3_db_handle(load)));
                        sqlite3_reset(load);
                }
        }
        if (step != SQLITE_DONE && stmt)
                set_error(r, db);
        else if (step != SQLITE_DONE)
                set_error(r, db);
        r->parts[r->part].n_bytes += encoded.n_bytes;
        buf_done(&encoded);
        sqlite3_finalize(stmt);
        return step == SQLITE_DONE;
}

static void fill_rowids(struct sim *s, const struct plan *p, struct plan_values *v)
{
        size_t n_given = p->n_params + p->n_literals;
        int64_t next = 0;
        char *sql;

        if (plan_n_new_rowids(p, v) == 0)
                return;
        sql = xasprintf("SELECT max(%s) FROM \"%s\"", p->table->rowid_name, p->table->name);
        for (unsigned i = 0; i < s->n_shards; i++) {
                sqlite3_stmt *stmt;

                ck_assert_int_eq(sqlite3_prepare_v2(s->shards[i], sql, -1, &stmt, NULL), SQLITE_OK);
                if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_int64(stmt, 0) > next)
                        next = sqlite3_column_int64(stmt, 0);
                sqlite3_finalize(stmt);
        }
        free(sql);
        for (size_t i = 0; i < p->n_slots; i++)
                if (p->slots[i].rowid) {
                        if (v->values[n_given + i].type == VALUE_NULL)
                                v->values[n_given + i] = value_integer(next + 1);
                        if (v->values[n_given + i].type == VALUE_INTEGER &&
                            v->values[n_given + i].integer > next)
                                next = v->values[n_given + i].integer;
                }
}

/* One run of a plan. */
struct running {
        struct sim *sim;
        const struct plan *plan;
        struct plan_values *values;
        struct arena *arena;
        sqlite3 *finish;
        struct buf *rows; /* per part, encoded */
        bool *done;
        struct sim_result *r;
};

static void run_on_shards(struct running *x, size_t k, const char *sql, const struct plan_values *v,
                          const uint64_t *bits)
{
        const struct plan_part *part = &x->plan->parts[k];
        sqlite3_stmt *load = NULL;
        bool needs_rows = false;

        for (size_t i = 0; i < x->plan->n_parts; i++)
                needs_rows =
                    needs_rows || (x->plan->parts[i].after && x->plan->parts[i].after->part == k);
        if (x->finish)
                ck_assert_msg(sqlite3_prepare_v2(x->finish, part->load_sql, -1, &load, NULL) ==
                                  SQLITE_OK,
                              "%s: %s", part->load_sql, sqlite3_errmsg(x->finish));
        for (unsigned i = 0; i < x->sim->n_shards && !x->r->code; i++)
                if (shard_bits_has(bits, i))
                        run_sql(x->sim->shards[i], sql, v, load, needs_rows ? &x->rows[k] : NULL,
                                x->r);
        sqlite3_finalize(load);
}

/* Of the rows that the part waited for. False: they are too many, it is fetched whole. */
static bool run_by_keys(struct running *x, size_t k, const uint64_t *bits)
{
        const struct plan_after *a = x->plan->parts[k].after;
        struct key_set set = { .arena = x->arena };
        struct key_request *requests;
        size_t n;

        if (!a)
                return false;
        ck_assert_int_eq(key_set_add_rows(&set, x->plan, a, x->rows[a->part].data,
                                          x->rows[a->part].n_bytes, &x->r->err),
                         ERR_OK);
        if (!key_set_pays(&set, a))
                return false;
        ck_assert_int_eq(key_set_split(&set, a, catalog_shards(x->plan->catalog), bits, x->values,
                                       &requests, &n, &x->r->err),
                         ERR_OK);
        for (size_t i = 0; i < n; i++) {
                struct plan_values v = { (struct value *)(uintptr_t)requests[i].values,
                                         requests[i].n_values };

                run_on_shards(x, k, requests[i].sql, &v, requests[i].bits);
        }
        x->r->n_keyed++;
        return true;
}

static void run_part(struct running *x, size_t k)
{
        uint64_t bits[(MAX_SHARDS + 63) / 64];
        size_t n;

        x->done[k] = true;
        x->r->code = plan_route(x->plan, k, x->values, bits, &n, &x->r->err);
        x->r->part = k < ARRAY_LEN(x->r->parts) - 1 ? k : ARRAY_LEN(x->r->parts) - 1;
        x->r->parts[x->r->part].n_shards = n;
        if (k == 0)
                x->r->n_shards = n;
        if (!x->r->code && !run_by_keys(x, k, bits))
                run_on_shards(x, k, x->plan->parts[k].sql, x->values, bits);
}

static void make_tables(struct running *x)
{
        for (size_t k = 0; k < x->plan->n_parts; k++)
                ck_assert_msg(sqlite3_exec(x->finish, x->plan->parts[k].load_ddl, NULL, NULL,
                                           NULL) == SQLITE_OK,
                              "%s: %s", x->plan->parts[k].load_ddl, sqlite3_errmsg(x->finish));
}

static void run_parts(struct running *x)
{
        size_t n_done = 0;

        while (n_done < x->plan->n_parts && !x->r->code) {
                size_t before = n_done;

                for (size_t k = 0; k < x->plan->n_parts && !x->r->code; k++) {
                        const struct plan_after *a = x->plan->parts[k].after;

                        if (x->done[k] || (a && !x->done[a->part]))
                                continue;
                        run_part(x, k);
                        n_done++;
                }
                ck_assert_msg(before < n_done, "parts wait for each other");
        }
}

static void run_plan(struct sim *s, const struct plan *p, struct plan_values *v,
                     struct arena *arena, struct sim_result *r)
{
        struct running x = { .sim = s, .plan = p, .values = v, .arena = arena, .r = r };

        x.finish = p->finish_sql ? open_db() : NULL;
        x.rows = xcalloc(p->n_parts + 1, sizeof *x.rows);
        x.done = xcalloc(p->n_parts + 1, sizeof *x.done);
        fill_rowids(s, p, v);
        if (x.finish)
                make_tables(&x);
        run_parts(&x);
        r->part = ARRAY_LEN(r->parts) - 1; /* where nobody looks */
        if (x.finish && !r->code && *p->finish_sql)
                run_sql(x.finish, p->finish_sql, v, NULL, NULL, r);
        sqlite3_close_v2(x.finish);
        for (size_t i = 0; i < p->n_parts; i++)
                buf_done(&x.rows[i]);
        free(x.rows);
        free(x.done);
}

/* ---- DDL */

static void drop_named(struct sim *s, const char *table, const char *object)
{
        for (size_t i = 0; i < s->keyspace.n_tables; i++)
                if (table && strcasecmp(s->tables[i]->name, table) == 0) {
                        memmove(&s->tables[i], &s->tables[i + 1],
                                (s->keyspace.n_tables - i - 1) * sizeof s->tables[0]);
                        s->keyspace.n_tables--;
                        break;
                }
        for (size_t i = s->keyspace.n_objects; i-- > 0;)
                if ((table && strcasecmp(s->objects[i]->table, table) == 0) ||
                    (object && strcasecmp(s->objects[i]->name, object) == 0)) {
                        memmove(&s->objects[i], &s->objects[i + 1],
                                (s->keyspace.n_objects - i - 1) * sizeof s->objects[0]);
                        s->keyspace.n_objects--;
                }
}

static void run_ddl(struct sim *s, struct plan *p, struct sim_result *r)
{
        const struct plan_ddl *d = p->ddl;
        struct plan_values none = { 0 };

        if (d->verb == DDL_NOTHING)
                return;
        for (unsigned i = 0; i < s->n_shards && !r->code; i++)
                if (!run_sql(s->shards[i], d->sql, &none, NULL, NULL, r))
                        for (unsigned k = 0; k < i; k++)
                                ck_assert_int_eq(
                                    sqlite3_exec(s->shards[k], d->undo_sql, NULL, NULL, NULL),
                                    SQLITE_OK);
        if (r->code)
                return;
        drop_named(s, d->drop_table, d->drop_object);
        ck_assert(s->n_kept < ARRAY_LEN(s->kept));
        s->kept[s->n_kept++] = plan_ref(p);
        if (d->put_table)
                s->tables[s->keyspace.n_tables++] = d->put_table;
        if (d->put_object)
                s->objects[s->keyspace.n_objects++] = d->put_object;
        ck_assert(s->keyspace.n_tables < MAX_ITEMS && s->keyspace.n_objects < MAX_ITEMS);
        s->keyspace.schema_version++;
        refresh_catalog(s);
}

/* ---- statements */

/* As add_row() prints them. */
static void take_query_plan(const struct plan *p, struct sim_result *r)
{
        struct wire_reader rows = wire_reader(p->query_plan, p->n_query_plan_bytes);
        struct wire_field f;

        while (wire_next(&rows, &f)) {
                struct buf b = BUF_INIT(0);
                struct value v[4];

                ck_assert_int_eq(value_decode_row(f.data, f.n_bytes, v, ARRAY_LEN(v), NULL),
                                 ERR_OK);
                buf_printf(&b, "i%lld|i%lld|i%lld|t%zu:%.*s", (long long)v[0].integer,
                           (long long)v[1].integer, (long long)v[2].integer, v[3].n_bytes,
                           (int)v[3].n_bytes, (const char *)v[3].data);
                r->rows = xrealloc(r->rows, (r->n_rows + 1) * sizeof *r->rows);
                r->rows[r->n_rows++] = buf_take_str(&b);
        }
        ck_assert(!rows.failed);
}

void sim_run(struct sim *s, const char *sql, const struct plan_arg *args, size_t n_args,
             struct sim_result *ret)
{
        cleanup_(arena_freep) struct arena *arena = arena_new(16 << 20);
        cleanup_(plan_unrefp) struct plan *p = NULL;
        const struct value *literals = NULL;
        struct plan_values v;
        bool cached;

        *ret = (struct sim_result){ .err = ERR_INIT };
        ret->code = plan_cache_get(s->plans, s->catalog, sql, strlen(sql), arena, &p, &literals,
                                   &cached, &ret->err);
        if (ret->code)
                return;
        ret->kind = p->kind;
        ret->code = plan_bind(p, args, n_args, literals, NULL, 1700000000000, arena, &v, &ret->err);
        if (ret->code)
                return;
        if (p->kind == PLAN_DDL)
                run_ddl(s, p, ret);
        else if (p->query_plan)
                take_query_plan(p, ret);
        else if (p->kind != PLAN_EXPLAIN)
                run_plan(s, p, &v, arena, ret);
}

void sim_run_oracle(struct sim *s, const char *sql, const struct plan_arg *args, size_t n_args,
                    struct sim_result *ret)
{
        size_t n = n_args + 32; /* what is not given is NULL */
        cleanup_(freep) struct value *values = xcalloc(n, sizeof(*values));
        struct plan_values v = { .values = values, .n = n_args };

        *ret = (struct sim_result){ .err = ERR_INIT };
        for (size_t i = 0; i < n; i++)
                values[i] = i < n_args ? args[i].value : value_null();
        run_sql(s->oracle, sql, &v, NULL, NULL, ret);
}

static void compare(const char *sql, struct sim_result *got, struct sim_result *want, bool ordered)
{
        if (!ordered) {
                sim_result_sort(got);
                sim_result_sort(want);
        }
        if (want->code || got->code) {
                ck_assert_msg(want->code && got->code, "%s\n  shards: %s\n  SQLite: %s", sql,
                              got->code ? got->err.msg : "no error",
                              want->code ? want->err.msg : "no error");
                ck_assert_msg(want->err.extended_code == got->err.extended_code,
                              "%s\n  shards: %d %s\n  SQLite: %d %s", sql, got->err.extended_code,
                              got->err.msg, want->err.extended_code, want->err.msg);
                return;
        }
        ck_assert_msg(got->n_rows == want->n_rows,
                      "%s (%s)\n  shards: %zu rows (%s)\n  SQLite: %zu rows (%s)", sql,
                      plan_kind_name(got->kind), got->n_rows, got->n_rows ? got->rows[0] : "",
                      want->n_rows, want->n_rows ? want->rows[0] : "");
        for (size_t i = 0; i < want->n_rows; i++)
                ck_assert_msg(strcmp(got->rows[i], want->rows[i]) == 0,
                              "%s (%s) row %zu\n  shards: %s\n  SQLite: %s", sql,
                              plan_kind_name(got->kind), i, got->rows[i], want->rows[i]);
}

enum plan_kind sim_check_args(struct sim *s, const char *sql, const struct plan_arg *args,
                              size_t n_args, bool ordered, bool may_refuse, bool *ret_refused)
{
        struct sim_result got, want;
        enum plan_kind kind;

        sim_run(s, sql, args, n_args, &got);
        kind = got.kind;
        s->n_keyed += got.n_keyed;
        if (ret_refused)
                *ret_refused = got.code == ERR_UNIMPLEMENTED;
        if (got.code == ERR_UNIMPLEMENTED) {
                ck_assert_msg(may_refuse, "%s\n  refused: %s", sql, got.err.msg);
                sim_result_done(&got);
                return kind;
        }
        sim_run_oracle(s, sql, args, n_args, &want);
        compare(sql, &got, &want, ordered);
        sim_result_done(&got);
        sim_result_done(&want);
        return kind;
}

enum plan_kind sim_check(struct sim *s, const char *sql, bool ordered)
{
        return sim_check_args(s, sql, NULL, 0, ordered, false, NULL);
}

size_t sim_count(struct sim *s, unsigned shard, const char *table)
{
        char *sql = xasprintf("SELECT count(*) FROM \"%s\"", table);
        sqlite3_stmt *stmt;
        size_t n;

        ck_assert_int_eq(sqlite3_prepare_v2(s->shards[shard], sql, -1, &stmt, NULL), SQLITE_OK);
        ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
        n = (size_t)sqlite3_column_int64(stmt, 0);
        sqlite3_finalize(stmt);
        free(sql);
        return n;
}

size_t sim_n_keyed(const struct sim *s)
{
        return s->n_keyed;
}

void sim_each_seed(unsigned n, unsigned n_long, void (*run)(unsigned seed, void *arg), void *arg)
{
        const char *one = getenv("SHOAL_TEST_SEED");
        unsigned first = one ? (unsigned)atoi(one) : 0;

        if (unit_is_long())
                n = n_long;
        for (unsigned i = first; i < (one ? first + 1 : n); i++) {
                fprintf(stderr, "seed %u\n", i);
                run(i, arg);
        }
}
