/* plan_pragma.c - PRAGMA: those that describe the schema run in a database that has it, those that
 * set what no client may set answer what is so and take nothing else, the rest is refused with a
 * reason. The table below is docs/pragmas.md. Loop thread. */
#include "gate/plan_pragma.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gate/plan_schema.h"

enum way {
        SCHEMA = 0, /* answered from the schema */
        VALUE,      /* answers a value that is the same everywhere; to be set to it only */
        TUNING,     /* the same, but settings, which could only change how fast things go or what
                     * the tablets see to, are taken without effect */
        VERSION,    /* the keyspace's schema version */
        CHECK,      /* runs on every shard */
        NOTHING,    /* accepted, does nothing */
        REFUSED,
};

struct pragma {
        const char *name;
        enum way way;
        const char *value;  /* SQL: "SELECT value AS column"; NULL: it answers nothing */
        bool answers_set;   /* the value is told to those who set it, too */
        const char *reason; /* for REFUSED and VALUE: why not */
};

static const char of_a_file[] = "it tells of one file, and a keyspace is many";
static const char of_results[] = "it would change what results look like";
static const char of_gate[] = "it would reach into the memory of the gate, which others share";

/* clang-format off */
static const struct pragma pragmas[] = {
        { "analysis_limit", TUNING, "SELECT 0 AS analysis_limit", true },
        { "application_id", VALUE, "SELECT 0 AS application_id", false, "a keyspace has no file to keep it in" },
        { "auto_vacuum", VALUE, "SELECT 0 AS auto_vacuum", false, "tablets use free pages again by themselves" },
        { "automatic_index", TUNING, "SELECT 1 AS automatic_index" },
        { "busy_timeout", TUNING, "SELECT 0 AS timeout", true },
        { "cache_size", TUNING, "SELECT -2000 AS cache_size" },
        { "cache_spill", TUNING, "SELECT 483 AS cache_spill" },
        { "case_sensitive_like", VALUE, NULL, false, "it would change what LIKE means in the indexes and CHECKs of every shard" },
        { "cell_size_check", TUNING, "SELECT 0 AS cell_size_check" },
        { "checkpoint_fullfsync", TUNING, "SELECT 0 AS checkpoint_fullfsync" },
        { "collation_list", SCHEMA },
        { "compile_options", SCHEMA },
        { "count_changes", VALUE, "SELECT 0 AS count_changes", false, of_results },
        { "data_version", REFUSED, .reason = of_a_file },
        { "database_list", SCHEMA },
        { "default_cache_size", TUNING, "SELECT -2000 AS cache_size" },
        { "defer_foreign_keys", VALUE, "SELECT 0 AS defer_foreign_keys", false, "foreign keys are not enforced yet" },
        { "empty_result_callbacks", TUNING, "SELECT 0 AS empty_result_callbacks" },
        { "encoding", VALUE, "SELECT 'UTF-8' AS encoding", false, "every shard is UTF-8" },
        { "foreign_key_check", REFUSED, .reason = "parents and children may lie on different shards; a join finds those without" },
        { "foreign_key_list", SCHEMA },
        { "foreign_keys", VALUE, "SELECT 0 AS foreign_keys", false, "foreign keys are not enforced yet" },
        { "freelist_count", REFUSED, .reason = of_a_file },
        { "full_column_names", VALUE, "SELECT 0 AS full_column_names", false, of_results },
        { "fullfsync", TUNING, "SELECT 0 AS fullfsync" },
        { "function_list", SCHEMA },
        { "hard_heap_limit", VALUE, "SELECT 0 AS hard_heap_limit", true, of_gate },
        { "ignore_check_constraints", VALUE, "SELECT 0 AS ignore_check_constraints", false, "constraints hold for everybody" },
        { "incremental_vacuum", NOTHING },
        { "index_info", SCHEMA },
        { "index_list", SCHEMA },
        { "index_xinfo", SCHEMA },
        { "integrity_check", CHECK },
        { "journal_mode", VALUE, "SELECT 'wal' AS journal_mode", true, "every shard is in WAL mode" },
        { "journal_size_limit", TUNING, "SELECT -1 AS journal_size_limit", true },
        { "legacy_alter_table", VALUE, "SELECT 0 AS legacy_alter_table", false, "it would change what a schema change does" },
        { "locking_mode", VALUE, "SELECT 'normal' AS locking_mode", true, "shards are shared" },
        { "max_page_count", VALUE, "SELECT 1073741823 AS max_page_count", true, "it limits one file, and a keyspace is many" },
        { "mmap_size", TUNING, "SELECT 0 AS mmap_size", true },
        { "module_list", SCHEMA },
        { "optimize", NOTHING },
        { "page_count", REFUSED, .reason = of_a_file },
        { "page_size", TUNING, "SELECT 4096 AS page_size" },
        { "pragma_list", SCHEMA },
        { "query_only", VALUE, "SELECT 0 AS query_only", false, "a request, or a transaction's Begin, says read_only" },
        { "quick_check", CHECK },
        { "read_uncommitted", TUNING, "SELECT 0 AS read_uncommitted" },
        { "recursive_triggers", VALUE, "SELECT 0 AS recursive_triggers", false, "there are no triggers yet" },
        { "reverse_unordered_selects", TUNING, "SELECT 0 AS reverse_unordered_selects" },
        { "schema_version", VERSION },
        { "secure_delete", VALUE, "SELECT 0 AS secure_delete", true, "shards do not overwrite what is deleted" },
        { "short_column_names", VALUE, "SELECT 1 AS short_column_names", false, of_results },
        { "shrink_memory", NOTHING },
        { "soft_heap_limit", VALUE, "SELECT 0 AS soft_heap_limit", true, of_gate },
        { "synchronous", TUNING, "SELECT 2 AS synchronous" },
        { "table_info", SCHEMA },
        { "table_list", SCHEMA },
        { "table_xinfo", SCHEMA },
        { "temp_store", TUNING, "SELECT 0 AS temp_store" },
        { "temp_store_directory", REFUSED, .reason = "it would reach into the gate's files" },
        { "threads", TUNING, "SELECT 0 AS threads", true },
        { "trusted_schema", VALUE, "SELECT 1 AS trusted_schema", false, "what a schema must not call, no statement may" },
        { "user_version", VALUE, "SELECT 0 AS user_version", false, "a keyspace has no file to keep it in; a table can" },
        { "wal_autocheckpoint", TUNING, "SELECT 1000 AS wal_autocheckpoint", true },
        { "wal_checkpoint", REFUSED, .reason = "tablets do that by themselves" },
        { "writable_schema", VALUE, "SELECT 0 AS writable_schema", false, "the schema is changed by CREATE, DROP and ALTER only" },
};
/* clang-format on */

static const struct pragma *find_pragma(const char *name)
{
        for (size_t i = 0; i < ARRAY_LEN(pragmas); i++)
                if (strcasecmp(pragmas[i].name, name) == 0)
                        return &pragmas[i];
        return NULL;
}

static enum err_code refuse(struct planner *p, const struct pragma *pragma, const char *what)
{
        return err_set(p->reterr, ERR_UNIMPLEMENTED, "PRAGMA", "%s %s is refused: %s", what,
                       pragma->name, pragma->reason);
}

/* ---- pragma_… in FROM */

enum err_code pragma_check_function(struct planner *p, const char *name)
{
        static const char not_in_from[] = "only as a statement";
        const struct pragma *found = find_pragma(name);
        struct pragma other = { .name = name, .reason = not_in_from };

        if (found && (found->way == SCHEMA || (found->way <= TUNING && found->value)))
                return ERR_OK;
        return refuse(p, found && found->way == REFUSED ? found : &other, "PRAGMA");
}

const char *pragma_value_sql(const char *name)
{
        const struct pragma *found = find_pragma(name);

        return found ? found->value : NULL;
}

/* ---- the statement */

static enum err_code judged(struct planner *p, const char *sql)
{
        return sql ? planner_judge(p, sql, strlen(sql)) : planner_no_memory(p);
}

static enum err_code answer_nothing(struct planner *p)
{
        p->plan->kind = PLAN_LOCAL;
        p->plan->read_only = true;
        p->plan->columns = (const uint8_t *)"";
        p->plan->n_columns = p->plan->n_columns_bytes = 0; /* check_schema() had some */
        p->plan->finish_sql = "";
        return ERR_OK;
}

/* sql is of static storage or in the plan's arena. */
static enum err_code answer(struct planner *p, const char *sql)
{
        enum err_code rc;

        if (!sql)
                return answer_nothing(p);
        rc = judged(p, sql);
        p->plan->kind = PLAN_LOCAL;
        p->plan->quick_finish = true;
        p->plan->finish_sql = sql;
        return rc;
}

/* 1, on, yes, true; -1: it is no yes or no. */
static int truth(const char *s)
{
        static const char *const words[2][4] = { { "0", "off", "no", "false" },
                                                 { "1", "on", "yes", "true" } };

        for (int i = 0; i < 2; i++)
                for (size_t k = 0; k < 4; k++)
                        if (strcasecmp(words[i][k], s) == 0)
                                return i;
        return -1;
}

/* Is this what it is set to already? The value stands between "SELECT " and " AS". */
static bool is_same(const struct pragma *pragma, const char *given)
{
        const char *sql = pragma->value ? pragma->value : "SELECT 0 AS off";
        const char *from = sql + strlen("SELECT "), *to = strstr(from, " AS");
        char value[32];

        if (*from == '\'') {
                from++;
                to--;
        }
        snprintf(value, sizeof value, "%.*s", (int)(to - from), from);
        return strcasecmp(value, given) == 0 ||
               (truth(value) >= 0 && truth(value) == truth(given)) ||
               (strcmp(value, "UTF-8") == 0 && strcasecmp(given, "UTF8") == 0);
}

static enum err_code set_value(struct planner *p, const struct pragma *pragma)
{
        if (pragma->way == VALUE && !is_same(pragma, p->stmt->pragma->value.text))
                return refuse(p, pragma, "setting PRAGMA");
        return pragma->answers_set ? answer(p, pragma->value) : answer_nothing(p);
}

static enum err_code describe(struct planner *p, const struct pragma *pragma)
{
        const char *sql;
        enum err_code rc = planner_print(p, p->stmt, &sql);

        if (!rc)
                rc = judged(p, sql);
        if (rc)
                return rc;
        plan_on_schema(p, sql);
        p->plan->plain_functions = strcmp(pragma->name, "function_list") == 0;
        return ERR_OK;
}

static enum err_code tell_version(struct planner *p, const struct pragma *pragma)
{
        char sql[80];

        if (p->stmt->pragma->form != SQL_PRAGMA_GET)
                return err_set(p->reterr, ERR_UNIMPLEMENTED, "PRAGMA",
                               "setting PRAGMA %s is refused: it moves with the schema",
                               pragma->name);
        snprintf(sql, sizeof sql, "SELECT %llu AS schema_version",
                 (unsigned long long)catalog_schema_version(p->catalog));
        return answer(p, arena_strdup(p->arena, sql));
}

/* ---- integrity_check, quick_check */

enum { MAX_COMPLAINTS = 100 }; /* as SQLite's, unless told otherwise */

static enum err_code print_check(struct planner *p, const struct pragma *pragma, const char *arg,
                                 struct plan_part *part)
{
        struct buf b = BUF_INIT(0);
        enum err_code rc;

        buf_printf(&b, "SELECT * FROM pragma_%s(", pragma->name);
        sql_quote_string(&b, arg, strlen(arg));
        buf_add_str(&b, ")");
        rc = planner_keep(p, &b, &part->sql);
        buf_done(&b);
        part->n_columns = 1;
        part->load_ddl = "CREATE TABLE " PART_TABLE " (c0)";
        part->load_sql = "INSERT INTO " PART_TABLE " VALUES (?)";
        return rc;
}

/* 'ok' if all shards say so, else what they complain of. */
static enum err_code check_shards(struct planner *p, const struct pragma *pragma)
{
        static const struct route all = { .kind = ROUTE_ALL };
        const struct sql_name *value = &p->stmt->pragma->value;
        struct plan_part *part;
        char max[16], finish[300];
        const char *sql;
        int n = value->text ? atoi(value->text) : 0;
        enum err_code rc = planner_print(p, p->stmt, &sql);

        snprintf(max, sizeof max, "%d", n > 0 ? n : MAX_COMPLAINTS);
        snprintf(finish, sizeof finish,
                 "SELECT * FROM (SELECT 'ok' WHERE NOT EXISTS (SELECT 1 FROM " PART_TABLE
                 " WHERE c0 <> 'ok') UNION ALL SELECT c0 FROM " PART_TABLE
                 " WHERE c0 <> 'ok') LIMIT %s",
                 max);
        if (!rc)
                rc = judged(p, sql);
        if (!rc)
                rc = planner_add_part(p, &part);
        if (!rc) /* a name stands for a table */
                rc = print_check(p, pragma,
                                 value->text && !p->stmt->pragma->is_number ? value->text : max,
                                 part);
        if (rc)
                return rc;
        part->route = all;
        p->plan->kind = PLAN_SCATTER;
        p->plan->read_only = true;
        p->plan->finish_sql = arena_strdup(p->arena, finish);
        return p->plan->finish_sql ? ERR_OK : planner_no_memory(p);
}

/* Pragmas of databases that are not there are errors, whatever their name. */
static enum err_code check_schema(struct planner *p)
{
        const struct sql_pragma *s = p->stmt->pragma;
        struct sql_table_name name = *s->name;
        struct sql_pragma list = { .kind = SQL_PRAGMA, .name = &name, .form = SQL_PRAGMA_GET };
        const char *sql;
        enum err_code rc;

        if (!name.schema.text)
                return ERR_OK;
        name.name = sql_name_of("table_list");
        rc = planner_print(p, &list, &sql);
        return rc ? rc : judged(p, sql);
}

enum err_code plan_pragma(struct planner *p)
{
        const struct sql_pragma *s = p->stmt->pragma;
        const struct pragma *found = find_pragma(s->name->name.text);
        enum err_code rc = check_schema(p);

        if (rc)
                return rc;
        if (!found || found->way == NOTHING) /* SQLite says nothing of those it does not know */
                return answer_nothing(p);
        switch (found->way) {
        case SCHEMA:
                return describe(p, found);
        case VERSION:
                return tell_version(p, found);
        case CHECK:
                return check_shards(p, found);
        case REFUSED:
                return refuse(p, found, "PRAGMA");
        default:
                return s->form == SQL_PRAGMA_GET ? answer(p, found->value) : set_value(p, found);
        }
}
