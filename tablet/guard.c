/* guard.c - SQL from outside reaches nothing but its tables: SQLite's authorizer, its limits and
 * switches, and a look at the names in schema changes. Runs wherever the connection is used. */
#include "tablet/engine_int.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HIDDEN_PREFIX "_shoal_"
#define VIEW_PREFIX "_shoal_v"

static bool is_hidden(const char *name)
{
        return name && strncasecmp(name, HIDDEN_PREFIX, sizeof HIDDEN_PREFIX - 1) == 0;
}

/* SQLite asks for leave to read a source of which no column is used, also if it is a CTE; a gate
 * calls those that it makes of views so. No table has such a name. */
static bool is_view_of_gate(int action, const char *name, const char *column)
{
        return action == SQLITE_READ && name && column && !*column &&
               strncasecmp(name, VIEW_PREFIX, sizeof VIEW_PREFIX - 1) == 0;
}

static bool is_one_of(const char *name, const char *const *list)
{
        if (!name)
                return false;
        for (; *list; list++)
                if (strcasecmp(name, *list) == 0)
                        return true;
        return false;
}

/* Tables that tell of the file or of other people's statements. */
static const char *const denied_tables[] = { "dbstat",   "sqlite_stmt", "sqlite_dbpage",
                                             "bytecode", "tables_used", NULL };
static const char *const catalog_tables[] = { "sqlite_master", "sqlite_schema",
                                              "sqlite_temp_master", "sqlite_temp_schema", NULL };
static const char *const denied_functions[] = {
        "load_extension", "fts3_tokenizer", "sqlite_log", "readfile", "writefile", "edit", NULL
};
/* What full-text and R-tree tables ask of their file. */
static const char *const needed_pragmas[] = { "data_version", "page_size", NULL };

/* What reads a whole file and says if it is sound. */
static const char *const check_pragmas[] = { "integrity_check", "quick_check", NULL };

/* ---- the authorizer */

static int deny(struct conn *c, const char *what, const char *name)
{
        snprintf(c->denied, sizeof c->denied, "%s%s%.80s", what, name ? " " : "", name ? name : "");
        return SQLITE_DENY;
}

static const char *action_name(int action)
{
        static const struct {
                int action;
                const char *name;
        } names[] = {
                { SQLITE_CREATE_INDEX, "CREATE INDEX" },
                { SQLITE_CREATE_TABLE, "CREATE TABLE" },
                { SQLITE_CREATE_TRIGGER, "CREATE TRIGGER" },
                { SQLITE_CREATE_VIEW, "CREATE VIEW" },
                { SQLITE_CREATE_VTABLE, "CREATE VIRTUAL TABLE" },
                { SQLITE_CREATE_TEMP_INDEX, "CREATE INDEX on a TEMP table" },
                { SQLITE_CREATE_TEMP_TABLE, "CREATE TEMP TABLE" },
                { SQLITE_CREATE_TEMP_TRIGGER, "CREATE TEMP TRIGGER" },
                { SQLITE_CREATE_TEMP_VIEW, "CREATE TEMP VIEW" },
                { SQLITE_DROP_INDEX, "DROP INDEX" },
                { SQLITE_DROP_TABLE, "DROP TABLE" },
                { SQLITE_DROP_TRIGGER, "DROP TRIGGER" },
                { SQLITE_DROP_VIEW, "DROP VIEW" },
                { SQLITE_DROP_VTABLE, "DROP TABLE" },
                { SQLITE_ALTER_TABLE, "ALTER TABLE" },
                { SQLITE_REINDEX, "REINDEX" },
                { SQLITE_ANALYZE, "ANALYZE" },
                { SQLITE_ATTACH, "ATTACH" },
                { SQLITE_DETACH, "DETACH" },
                { SQLITE_PRAGMA, "PRAGMA" },
                { SQLITE_SAVEPOINT, "SAVEPOINT" },
        };

        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                if (names[i].action == action)
                        return names[i].name;
        return "this statement";
}

static bool is_temp(const char *schema)
{
        return schema && strcasecmp(schema, "temp") == 0;
}

/* DDL and ALTER read and write the catalog on their own; SQLite itself keeps others from writing to
 * it. A connection that meets a virtual table for the first time goes through the motions of
 * creating it, which shows as an UPDATE by rowid. */
static int check_catalog(struct conn *c, int action, const char *table, const char *column)
{
        if (c->mode == GUARD_SCHEMA || action == SQLITE_UPDATE)
                return SQLITE_OK;
        if (action == SQLITE_READ && column && strcasecmp(column, "rowid") == 0)
                return SQLITE_OK;
        return deny(c, "access to", table);
}

static int check_table(struct conn *c, int action, const char *table, const char *column,
                       const char *schema)
{
        if (is_one_of(table, denied_tables))
                return deny(c, "access to", table);
        if (is_one_of(table, catalog_tables))
                return check_catalog(c, action, table, column);
        if (is_temp(schema))
                return deny(c, "access to TEMP table", table);
        return SQLITE_OK;
}

static int check_schema_action(struct conn *c, int action, const char *second, const char *schema)
{
        if (is_temp(schema))
                return deny(c, "a TEMP object", NULL);
        switch (action) {
        case SQLITE_CREATE_VTABLE:
                if (is_one_of(second, denied_tables))
                        return deny(c, "virtual table module", second);
                return SQLITE_OK;
        case SQLITE_CREATE_INDEX:
        case SQLITE_CREATE_TABLE:
        case SQLITE_CREATE_TRIGGER:
        case SQLITE_CREATE_VIEW:
        case SQLITE_DROP_INDEX:
        case SQLITE_DROP_TABLE:
        case SQLITE_DROP_TRIGGER:
        case SQLITE_DROP_VIEW:
        case SQLITE_DROP_VTABLE:
        case SQLITE_ALTER_TABLE:
                return SQLITE_OK;
        default:
                return deny(c, action_name(action), NULL);
        }
}

/* Statistics: reads everything, and writes nothing but the table that SQLite keeps them in, which
 * it creates when there is none. */
static int check_analyze(struct conn *c, int action, const char *first)
{
        switch (action) {
        case SQLITE_ANALYZE:
        case SQLITE_SELECT:
        case SQLITE_READ:
                return SQLITE_OK;
        case SQLITE_INSERT:
        case SQLITE_UPDATE:
                if (is_one_of(first, catalog_tables))
                        return SQLITE_OK;
                break;
        case SQLITE_CREATE_TABLE:
        case SQLITE_DELETE:
                if (strcasecmp(first, "sqlite_stat1") == 0)
                        return SQLITE_OK;
                break;
        default:
                break;
        }
        return deny(c, action_name(action), first);
}

static int on_authorize(void *arg, int action, const char *first, const char *second,
                        const char *schema, const char *trigger)
{
        struct conn *c = arg;

        if (c->mode == GUARD_INTERNAL)
                return SQLITE_OK;
        if (action == SQLITE_FUNCTION)
                return is_one_of(second, denied_functions) ? deny(c, "function", second)
                                                           : SQLITE_OK;
        if (c->mode == GUARD_ANALYZE)
                return check_analyze(c, action, first);
        /* Without a name they go through all tables, ours included; guard_check_names() has seen
         * the text. */
        if (c->mode == GUARD_SCHEMA && (action == SQLITE_ANALYZE || action == SQLITE_REINDEX))
                return SQLITE_OK;
        if (is_view_of_gate(action, first, second))
                return SQLITE_OK;
        /* ALTER TABLE names its table second. */
        if (is_hidden(first) || is_hidden(second))
                return deny(c, "access to", is_hidden(first) ? first : second);
        switch (action) {
        case SQLITE_SELECT:
        case SQLITE_RECURSIVE:
                return SQLITE_OK;
        case SQLITE_READ:
        case SQLITE_INSERT:
        case SQLITE_UPDATE:
        case SQLITE_DELETE:
                return check_table(c, action, first, second, schema);
        case SQLITE_PRAGMA:
                if (!second && is_one_of(first, needed_pragmas))
                        return SQLITE_OK;
                if (c->mode == GUARD_STATEMENT && is_one_of(first, check_pragmas))
                        return SQLITE_OK;
                return deny(c, "PRAGMA", first);
        case SQLITE_TRANSACTION:
                return deny(c, first, NULL);
        default:
                break;
        }
        if (c->mode == GUARD_SCHEMA)
                return check_schema_action(c, action, second, schema);
        return deny(c, action_name(action), NULL);
}

void guard_install(struct conn *c)
{
        static const struct {
                int id, value;
        } limits[] = {
                { SQLITE_LIMIT_SQL_LENGTH, 8 << 20 },
                { SQLITE_LIMIT_COLUMN, 2000 },
                { SQLITE_LIMIT_EXPR_DEPTH, 1000 },
                { SQLITE_LIMIT_COMPOUND_SELECT, 500 },
                { SQLITE_LIMIT_FUNCTION_ARG, 127 },
                { SQLITE_LIMIT_ATTACHED, 0 },
                { SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50000 },
                { SQLITE_LIMIT_VARIABLE_NUMBER, 250000 },
                { SQLITE_LIMIT_TRIGGER_DEPTH, 1000 },
                { SQLITE_LIMIT_WORKER_THREADS, 0 },
        };

        for (size_t i = 0; i < ARRAY_LEN(limits); i++)
                sqlite3_limit(c->db, limits[i].id, limits[i].value);
        sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, (int)c->shard->engine->o.max_value_bytes);
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        /* As in SQLite unless told; 3.40 holds its JSON functions for unsafe. What a schema must
         * not call, no statement may: see on_authorize(). */
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, NULL);
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0, NULL);
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_set_authorizer(c->db, on_authorize, c);
}

/* One statement that begins with this word can be nothing else. */
enum guard_mode guard_choose_mode(const char *sql, size_t n_bytes)
{
        static const char word[] = "ANALYZE";
        size_t n = sizeof word - 1;

        return n_bytes >= n && strncasecmp(sql, word, n) == 0 ? GUARD_ANALYZE : GUARD_STATEMENT;
}

/* ---- names in schema changes. The bodies of triggers and views are not shown to the authorizer
 * until they are used, and would poison their table then. */

static bool is_word(unsigned char ch)
{
        return isalnum(ch) || ch == '_' || ch == '$' || ch >= 0x80;
}

/* Behind the quoted text that begins at p, or the end if it is not closed. */
static const char *skip_quoted(const char *p)
{
        char close = *p == '[' ? ']' : *p;

        for (p++; *p; p++) {
                if (*p != close)
                        continue;
                if (close != ']' && p[1] == close) {
                        p++;
                        continue;
                }
                return p + 1;
        }
        return p;
}

static const char *skip_comment(const char *p)
{
        const char *end = p[0] == '-' ? strchr(p, '\n') : strstr(p + 2, "*/");

        if (!end)
                return p + strlen(p);
        return p[0] == '-' ? end + 1 : end + 2;
}

static const char *skip_word(const char *p)
{
        while (is_word((unsigned char)*p))
                p++;
        return p;
}

enum err_code guard_check_names(const char *sql, struct err *reterr)
{
        const char *p = sql, *name;

        while (*p) {
                name = p;
                if ((p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*')) {
                        p = skip_comment(p);
                        continue;
                } else if (strchr("'\"`[", *p)) {
                        /* SQLite takes a string for a name where only a name can stand. */
                        name = p + 1;
                        p = skip_quoted(p);
                } else if (is_word((unsigned char)*p)) {
                        p = skip_word(p);
                } else {
                        p++;
                        continue;
                }
                if (is_hidden(name))
                        return err_set(reterr, ERR_DENIED, "NOT_ALLOWED",
                                       "names beginning with " HIDDEN_PREFIX " are not allowed");
        }
        return ERR_OK;
}
