/* catalog.c - a keyspace's schema as the planner needs it, read back from an SQLite that has run
 * its SQL, so that affinities, collations and keys are what SQLite takes them for. Loop thread; the
 * result is immutable but for the shadow. */
#include "gate/catalog.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#include "common/arena.h"
#include "gate/catalog_int.h"

enum {
        MAX_CATALOG_BYTES = 256 << 20,
        MAX_SCRATCH_BYTES = 256 << 20,
        MAX_SPARE_BYTES = 64 << 10,
};

struct catalog {
        atomic_uint refs;
        struct arena *arena;
        const char *name;
        uint64_t id;
        uint64_t schema_version;
        struct shard_map *shards;
        struct sqlite3 *shadow;
        struct catalog_table *tables;
        size_t n_tables;
        Shoal__V1__SchemaObject *objects;
        size_t n_objects;
        struct table_estimate *estimates; /* per table */
        uint64_t statistics_version;
        struct arena *spare; /* NULL while it is out */
        const char **creates;
        size_t n_creates;
};

enum affinity catalog_affinity(const char *declared_type)
{
        char upper[256];
        size_t n = 0;

        /* https://sqlite.org/datatype3.html section 3.1, the five rules in order. */
        while (declared_type[n] && n < sizeof upper - 1) {
                upper[n] = declared_type[n] >= 'a' && declared_type[n] <= 'z'
                               ? declared_type[n] - 32
                               : declared_type[n];
                n++;
        }
        upper[n] = '\0';
        if (strstr(upper, "INT"))
                return AFFINITY_INTEGER;
        if (strstr(upper, "CHAR") || strstr(upper, "CLOB") || strstr(upper, "TEXT"))
                return AFFINITY_TEXT;
        if (!*upper || strstr(upper, "BLOB"))
                return AFFINITY_BLOB;
        if (strstr(upper, "REAL") || strstr(upper, "FLOA") || strstr(upper, "DOUB"))
                return AFFINITY_REAL;
        return AFFINITY_NUMERIC;
}

unsigned catalog_fold(const char *collation)
{
        if (strcasecmp(collation, "NOCASE") == 0)
                return FOLD_CASE;
        if (strcasecmp(collation, "RTRIM") == 0)
                return FOLD_TRAILING_SPACES;
        return 0;
}

/* ---- reading one table back from SQLite */

static enum err_code fail_sql(struct sqlite3 *db, struct err *reterr)
{
        return err_set(reterr, ERR_INTERNAL, "BAD_SCHEMA", "schema: %s", sqlite3_errmsg(db));
}

static enum err_code prepare(struct sqlite3 *db, const char *sql, const char *arg,
                             sqlite3_stmt **ret_stmt, struct err *reterr)
{
        if (sqlite3_prepare_v2(db, sql, -1, ret_stmt, NULL) != SQLITE_OK ||
            sqlite3_bind_text(*ret_stmt, 1, arg, -1, SQLITE_STATIC) != SQLITE_OK)
                return fail_sql(db, reterr);
        return ERR_OK;
}

static void finalizep(sqlite3_stmt **stmt)
{
        sqlite3_finalize(*stmt);
}

static const char *column_text(struct arena *a, sqlite3_stmt *stmt, int i)
{
        const char *s = (const char *)sqlite3_column_text(stmt, i);

        return s ? arena_strdup(a, s) : NULL;
}

static enum err_code read_columns(struct arena *a, struct sqlite3 *db, struct catalog_table *t,
                                  struct err *reterr)
{
        cleanup_(finalizep) sqlite3_stmt *stmt = NULL;
        uint32_t n_allocated = 0;
        enum err_code rc;
        int step;

        rc = prepare(
            db,
            "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1)",
            t->name, &stmt, reterr);
        if (rc)
                return rc;
        while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
                struct catalog_column *c;
                const char *collation = NULL;

                if (!arena_room(a, t->columns, t->n_columns, n_allocated))
                        break;
                c = &t->columns[t->n_columns++];
                c->name = column_text(a, stmt, 0);
                c->declared_type = column_text(a, stmt, 1);
                c->not_null = sqlite3_column_int(stmt, 2);
                c->fallback = column_text(a, stmt, 3);
                c->primary_key = sqlite3_column_int(stmt, 4);
                c->hidden = sqlite3_column_int(stmt, 5) == 1;
                c->generated = sqlite3_column_int(stmt, 5) >= 2;
                c->computed = sqlite3_column_int(stmt, 5) == 2;
                if (!c->name ||
                    sqlite3_table_column_metadata(db, NULL, t->name, c->name, NULL, &collation,
                                                  NULL, NULL, NULL) != SQLITE_OK)
                        return fail_sql(db, reterr);
                c->collation = arena_strdup(a, collation ? collation : "BINARY");
                c->affinity = catalog_affinity(c->declared_type);
                if (t->strict && strcasecmp(c->declared_type, "ANY") == 0)
                        c->affinity = AFFINITY_BLOB;
                c->fold = catalog_fold(c->collation);
        }
        if (step != SQLITE_DONE)
                return fail_sql(db, reterr);
        return ERR_OK;
}

/* A uniqueness constraint may compare more coarsely than its column does. */
static enum err_code fold_unique(struct sqlite3 *db, struct catalog_table *t, struct err *reterr)
{
        cleanup_(finalizep) sqlite3_stmt *stmt = NULL;
        enum err_code rc;
        int step;

        rc = prepare(db,
                     "SELECT x.name, x.coll FROM pragma_index_list(?1) AS l, "
                     "pragma_index_xinfo(l.name) AS x "
                     "WHERE l.\"unique\" AND x.key",
                     t->name, &stmt, reterr);
        if (rc)
                return rc;
        while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
                const char *name = (const char *)sqlite3_column_text(stmt, 0);
                int i = name ? catalog_column_index(t, name) : -1;

                if (i >= 0)
                        t->columns[i].fold |=
                            catalog_fold((const char *)sqlite3_column_text(stmt, 1));
        }
        return step == SQLITE_DONE ? ERR_OK : fail_sql(db, reterr);
}

static enum err_code read_kind(struct sqlite3 *db, struct catalog_table *t, struct err *reterr)
{
        cleanup_(finalizep) sqlite3_stmt *stmt = NULL;
        enum err_code rc;

        rc = prepare(db,
                     "SELECT wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = ?1 "
                     "COLLATE NOCASE",
                     t->name, &stmt, reterr);
        if (rc)
                return rc;
        if (sqlite3_step(stmt) != SQLITE_ROW)
                return fail_sql(db, reterr);
        t->without_rowid = sqlite3_column_int(stmt, 0);
        t->strict = sqlite3_column_int(stmt, 1);
        return ERR_OK;
}

static void find_rowid(struct sqlite3 *db, struct catalog_table *t)
{
        static const char *const names[] = { "rowid", "_rowid_", "oid" };
        int is_autoincrement = 0;
        int n_primary = 0, last = -1;

        t->rowid_column = -1;
        if (t->without_rowid)
                return;
        for (size_t i = 0; i < t->n_columns; i++) {
                if (t->columns[i].primary_key) {
                        n_primary++;
                        last = (int)i;
                }
        }
        /* Without an index of its own, the primary key is the rowid: `INTEGER PRIMARY KEY`, but not
         * the `DESC` form. */
        if (n_primary == 1 && strcasecmp(t->columns[last].declared_type, "INTEGER") == 0 &&
            !catalog_has_primary_key_index(db, t->name)) {
                t->rowid_column = last;
                t->rowid_name = t->columns[last].name;
                sqlite3_table_column_metadata(db, NULL, t->name, t->rowid_name, NULL, NULL, NULL,
                                              NULL, &is_autoincrement);
                t->autoincrement = is_autoincrement;
                return;
        }
        for (size_t i = 0; i < ARRAY_LEN(names) && !t->rowid_name; i++)
                if (catalog_column_index(t, names[i]) < 0)
                        t->rowid_name = names[i];
}

bool catalog_has_primary_key_index(struct sqlite3 *db, const char *table)
{
        cleanup_(finalizep) sqlite3_stmt *stmt = NULL;
        struct err ignored;

        return prepare(db, "SELECT 1 FROM pragma_index_list(?1) WHERE origin = 'pk'", table, &stmt,
                       &ignored) == ERR_OK &&
               sqlite3_step(stmt) == SQLITE_ROW;
}

enum err_code catalog_read_table(struct arena *a, struct sqlite3 *db, const char *name,
                                 struct catalog_table *ret_table, struct err *reterr)
{
        struct catalog_table t = { .name = arena_strdup(a, name) };
        enum err_code rc;

        if (!t.name)
                return err_set(reterr, ERR_EXHAUSTED, "TOO_LARGE", "the schema is too large");
        rc = read_kind(db, &t, reterr);
        if (!rc)
                rc = read_columns(a, db, &t, reterr);
        if (!rc)
                rc = fold_unique(db, &t, reterr);
        if (rc)
                return rc;
        find_rowid(db, &t);
        *ret_table = t;
        return ERR_OK;
}

/* ---- the whole keyspace */

static enum err_code read_sharding(struct arena *a, const Shoal__V1__Table *from,
                                   struct catalog_table *t, struct err *reterr)
{
        const Shoal__V1__TableSharding *s = from->sharding;

        if (!s || strcmp(s->type, "unsharded") == 0) {
                t->sharding = SHARDING_UNSHARDED;
                return ERR_OK;
        }
        if (strcmp(s->type, "reference") == 0) {
                t->sharding = SHARDING_REFERENCE;
                return ERR_OK;
        }
        if (s->n_vindexes == 0 || s->vindexes[0]->n_columns == 0)
                return err_set(reterr, ERR_INTERNAL, "BAD_SCHEMA", "table %s is sharded by nothing",
                               t->name);
        if (strcmp(s->vindexes[0]->vindex, "hash") != 0)
                return err_set(reterr, ERR_INTERNAL, "BAD_SCHEMA",
                               "table %s is sharded by the unknown vindex %s", t->name,
                               s->vindexes[0]->vindex);
        t->sharding = SHARDING_HASH;
        t->n_shard_columns = s->vindexes[0]->n_columns;
        t->shard_columns = arena_calloc(a, t->n_shard_columns, sizeof *t->shard_columns);
        if (!t->shard_columns)
                return err_set(reterr, ERR_EXHAUSTED, "TOO_LARGE", "the schema is too large");
        for (size_t i = 0; i < t->n_shard_columns; i++) {
                const char *column = s->vindexes[0]->columns[i];

                t->shard_columns[i] = catalog_column_index(t, column);
                if (t->shard_columns[i] < 0 &&
                    (!t->rowid_name || strcasecmp(column, t->rowid_name) != 0))
                        return err_set(reterr, ERR_INTERNAL, "BAD_SCHEMA",
                                       "table %s is sharded by %s, which it lacks", t->name,
                                       column);
        }
        return ERR_OK;
}

static enum err_code run_sql(struct sqlite3 *db, const char *sql, struct err *reterr)
{
        if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
                return fail_sql(db, reterr);
        return ERR_OK;
}

/* Tables and objects as they were created, which is the order in which sqlite_schema has them. */
struct created {
        uint64_t at; /* schema version; 0: before it was noted, tables first */
        bool is_object;
        size_t index; /* among the keyspace's tables or objects */
};

static int compare_created(const void *x, const void *y)
{
        const struct created *a = x, *b = y;

        if (a->at != b->at)
                return a->at < b->at ? -1 : 1;
        if (a->is_object != b->is_object)
                return a->is_object ? 1 : -1;
        return a->index < b->index ? -1 : 1;
}

static bool copy_object(struct catalog *c, const Shoal__V1__SchemaObject *from)
{
        Shoal__V1__SchemaObject *o = &c->objects[c->n_objects++];

        shoal__v1__schema_object__init(o);
        o->type = arena_strdup(c->arena, from->type);
        o->name = arena_strdup(c->arena, from->name);
        o->table = arena_strdup(c->arena, from->table);
        o->sql = arena_strdup(c->arena, from->sql);
        o->created = from->created;
        return o->type && o->name && o->table && o->sql;
}

static enum err_code create_one(struct catalog *c, const Shoal__V1__Keyspace *k,
                                const struct created *w, struct err *reterr)
{
        const Shoal__V1__SchemaObject *o;
        enum err_code rc;

        if (!w->is_object) {
                const Shoal__V1__Table *t = k->tables[w->index];

                c->creates[c->n_creates++] = arena_strdup(c->arena, t->sql);
                rc = run_sql(c->shadow, t->sql, reterr);
                return rc ? err_wrap(reterr, rc, "table %s", t->name) : ERR_OK;
        }
        o = k->objects[w->index];
        c->creates[c->n_creates++] = arena_strdup(c->arena, o->sql);
        rc = run_sql(c->shadow, o->sql, reterr);
        if (rc)
                return err_wrap(reterr, rc, "%s %s", o->type, o->name);
        return copy_object(c, o)
                   ? ERR_OK
                   : err_set(reterr, ERR_EXHAUSTED, "TOO_LARGE", "the schema is too large");
}

static enum err_code create_all(struct catalog *c, const Shoal__V1__Keyspace *k, struct err *reterr)
{
        size_t n = 0;
        struct created *order = xcalloc(k->n_tables + k->n_objects + 1, sizeof *order);
        enum err_code rc = ERR_OK;

        for (size_t i = 0; i < k->n_tables; i++)
                order[n++] = (struct created){ .at = k->tables[i]->created, .index = i };
        for (size_t i = 0; i < k->n_objects; i++)
                order[n++] =
                    (struct created){ .at = k->objects[i]->created, .is_object = true, .index = i };
        c->creates = arena_calloc(c->arena, n + 1, sizeof *c->creates);
        if (!c->creates)
                rc = err_set(reterr, ERR_EXHAUSTED, "TOO_LARGE", "the schema is too large");
        qsort(order, n, sizeof *order, compare_created);
        for (size_t i = 0; i < n && !rc; i++)
                rc = create_one(c, k, &order[i], reterr);
        free(order);
        return rc;
}

static enum err_code read_tables(struct catalog *c, const Shoal__V1__Keyspace *k,
                                 struct err *reterr)
{
        enum err_code rc;

        c->tables = arena_calloc(c->arena, k->n_tables, sizeof *c->tables);
        if (!c->tables)
                return err_set(reterr, ERR_EXHAUSTED, "TOO_LARGE", "the schema is too large");
        rc = create_all(c, k, reterr);
        if (rc)
                return rc;
        for (size_t i = 0; i < k->n_tables; i++) {
                struct catalog_table *t = &c->tables[i];

                rc = catalog_read_table(c->arena, c->shadow, k->tables[i]->name, t, reterr);
                if (!rc)
                        rc = read_sharding(c->arena, k->tables[i], t, reterr);
                if (rc)
                        return err_wrap(reterr, rc, "table %s", k->tables[i]->name);
                t->sql = arena_strdup(c->arena, k->tables[i]->sql);
                c->n_tables++;
        }
        return ERR_OK;
}

static enum err_code read_shards(struct catalog *c, const Shoal__V1__Keyspace *k,
                                 struct err *reterr)
{
        struct shard_map_entry *entries = arena_calloc(c->arena, k->n_shards, sizeof *entries);
        enum err_code rc;

        if (!entries)
                return err_set(reterr, ERR_EXHAUSTED, "TOO_LARGE", "the shard map is too large");
        for (size_t i = 0; i < k->n_shards; i++) {
                entries[i].name = k->shards[i]->name;
                entries[i].tablet = k->shards[i]->tablet;
                entries[i].epoch = k->shards[i]->epoch;
                rc = key_range_parse(k->shards[i]->name, &entries[i].range, reterr);
                if (rc)
                        return rc;
        }
        return shard_map_new(entries, k->n_shards, &c->shards, reterr);
}

/* Functions that reach out of the database: into the process's memory, its log, its files. Every
 * statement is prepared here before anything runs it. */
static int on_authorize(void *arg, int action, const char *first, const char *function,
                        const char *schema, const char *trigger)
{
        static const char *const denied[] = { "fts3_tokenizer", "sqlite_log", "load_extension",
                                              "readfile",       "writefile",  "edit" };

        if (action == SQLITE_FUNCTION)
                for (size_t i = 0; i < ARRAY_LEN(denied); i++)
                        if (strcasecmp(function, denied[i]) == 0)
                                return SQLITE_DENY;
        return SQLITE_OK;
}

enum err_code catalog_open_shadow(struct sqlite3 **ret_db, struct err *reterr)
{
        struct sqlite3 *db = NULL;

        if (sqlite3_open_v2(":memory:", &db,
                            SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                            NULL) != SQLITE_OK ||
            sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) != SQLITE_OK ||
            sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL) != SQLITE_OK ||
            sqlite3_set_authorizer(db, on_authorize, NULL) != SQLITE_OK) {
                sqlite3_close(db);
                return err_set(reterr, ERR_EXHAUSTED, "NO_MEMORY",
                               "cannot open an in-memory database");
        }
        sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
        sqlite3_extended_result_codes(db, 1);
        *ret_db = db;
        return ERR_OK;
}

enum err_code catalog_new(const Shoal__V1__Keyspace *k, struct catalog **ret_catalog,
                          struct err *reterr)
{
        cleanup_(catalog_unrefp) struct catalog *c = xcalloc(1, sizeof *c);
        enum err_code rc;

        c->refs = 1;
        c->arena = arena_new(MAX_CATALOG_BYTES);
        c->name = arena_strdup(c->arena, k->name);
        c->id = k->id;
        c->schema_version = k->schema_version;
        c->objects = arena_calloc(c->arena, k->n_objects, sizeof *c->objects);
        if (!c->name || !c->objects)
                return err_set(reterr, ERR_EXHAUSTED, "TOO_LARGE", "the schema is too large");
        rc = read_shards(c, k, reterr);
        if (!rc)
                rc = catalog_open_shadow(&c->shadow, reterr);
        if (!rc)
                rc = read_tables(c, k, reterr);
        if (!rc && arena_is_exhausted(c->arena))
                rc = err_set(reterr, ERR_EXHAUSTED, "TOO_LARGE", "the schema is too large");
        if (rc)
                return err_wrap(reterr, rc, "keyspace %s", k->name);
        c->estimates = xcalloc(c->n_tables + 1, sizeof *c->estimates);
        *ret_catalog = TAKE(c);
        return ERR_OK;
}

struct catalog *catalog_ref(struct catalog *c)
{
        atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
        return c;
}

struct catalog *catalog_unref(struct catalog *c)
{
        if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
                return NULL;
        for (size_t i = 0; c->estimates && i < c->n_tables; i++)
                free(c->estimates[i].equal_rows);
        free(c->estimates);
        shard_map_unref(c->shards);
        sqlite3_close_v2(c->shadow);
        arena_free(c->spare);
        arena_free(c->arena);
        free(c);
        return NULL;
}

const char *catalog_name(const struct catalog *c)
{
        return c->name;
}

uint64_t catalog_id(const struct catalog *c)
{
        return c->id;
}

uint64_t catalog_schema_version(const struct catalog *c)
{
        return c->schema_version;
}

struct shard_map *catalog_shards(const struct catalog *c)
{
        return c->shards;
}

const struct catalog_table *catalog_find_table(const struct catalog *c, const char *name)
{
        for (size_t i = 0; i < c->n_tables; i++)
                if (strcasecmp(c->tables[i].name, name) == 0)
                        return &c->tables[i];
        return NULL;
}

size_t catalog_n_tables(const struct catalog *c)
{
        return c->n_tables;
}

const struct catalog_table *catalog_table_at(const struct catalog *c, size_t i)
{
        return &c->tables[i];
}

const Shoal__V1__SchemaObject *catalog_find_object(const struct catalog *c, const char *name)
{
        for (size_t i = 0; i < c->n_objects; i++)
                if (strcasecmp(c->objects[i].name, name) == 0)
                        return &c->objects[i];
        return NULL;
}

size_t catalog_n_objects(const struct catalog *c)
{
        return c->n_objects;
}

const Shoal__V1__SchemaObject *catalog_object_at(const struct catalog *c, size_t i)
{
        return &c->objects[i];
}

const char *const *catalog_creates(const struct catalog *c, size_t *ret_n)
{
        *ret_n = c->n_creates;
        return c->creates;
}

int catalog_column_index(const struct catalog_table *t, const char *name)
{
        for (size_t i = 0; i < t->n_columns; i++)
                if (strcasecmp(t->columns[i].name, name) == 0)
                        return (int)i;
        return -1;
}

struct sqlite3 *catalog_shadow(struct catalog *c)
{
        return c->shadow;
}

struct arena *catalog_take_scratch(struct catalog *c)
{
        return c->spare ? TAKE(c->spare) : arena_new(MAX_SCRATCH_BYTES);
}

void catalog_give_scratch(struct catalog *c, struct arena *scratch)
{
        arena_reset(scratch);
        if (c->spare || arena_bytes(scratch) > MAX_SPARE_BYTES)
                arena_free(scratch);
        else
                c->spare = scratch;
}

struct table_estimate *catalog_estimate(const struct catalog *c, const struct catalog_table *t)
{
        return &c->estimates[t - c->tables];
}

void catalog_estimates_changed(struct catalog *c)
{
        c->statistics_version++;
}

uint64_t catalog_statistics_version(const struct catalog *c)
{
        return c->statistics_version;
}
