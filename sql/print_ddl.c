/* print_ddl.c - CREATE, ALTER, DROP, transactions, PRAGMA and the rest. Any thread. */
#include <string.h>

#include "sql/print_int.h"

/* ---- columns and constraints ---- */

static void print_on_conflict(struct sql_printer *pr, enum sql_conflict c)
{
        if (c) {
                sql_emit(pr, "ON CONFLICT");
                sql_emit(pr, sql_conflict_word(c));
        }
}

static void print_parenthesised(struct sql_printer *pr, const struct sql_expr *e)
{
        sql_emit_list_open(pr);
        sql_print_node(pr, e);
        sql_emit(pr, ")");
}

static void print_deferrable(struct sql_printer *pr, const struct sql_constraint *c)
{
        static const char *const deferrables[] = { "", "DEFERRABLE", "NOT DEFERRABLE" };
        static const char *const initiallies[] = { "", "INITIALLY DEFERRED",
                                                   "INITIALLY IMMEDIATE" };

        sql_emit(pr, deferrables[c->deferrable]);
        sql_emit(pr, initiallies[c->initially]);
}

static void print_action(struct sql_printer *pr, const char *event, enum sql_action action)
{
        static const char *const words[] = {
                [SQL_ACTION_NONE] = "",
                [SQL_ACTION_NO_ACTION] = "NO ACTION",
                [SQL_ACTION_RESTRICT] = "RESTRICT",
                [SQL_ACTION_SET_NULL] = "SET NULL",
                [SQL_ACTION_SET_DEFAULT] = "SET DEFAULT",
                [SQL_ACTION_CASCADE] = "CASCADE",
        };

        if (action) {
                sql_emit(pr, event);
                sql_emit(pr, words[action]);
        }
}

static void print_foreign_key(struct sql_printer *pr, const struct sql_constraint *c)
{
        if (c->from_columns.n) {
                sql_emit(pr, "FOREIGN KEY");
                sql_emit_names(pr, &c->from_columns);
        }
        sql_emit(pr, "REFERENCES");
        sql_print_name(pr, &c->to_table);
        if (c->to_columns.n)
                sql_emit_names(pr, &c->to_columns);
        print_action(pr, "ON DELETE", c->on_delete);
        print_action(pr, "ON UPDATE", c->on_update);
        print_deferrable(pr, c);
}

/* PRIMARY KEY and UNIQUE, of a column or of a table. */
static void print_key(struct sql_printer *pr, const struct sql_constraint *c)
{
        static const char *const sorts[] = { "", "ASC", "DESC" };

        sql_emit(pr, c->type == SQL_CONSTRAINT_UNIQUE ? "UNIQUE" : "PRIMARY KEY");
        if (!c->columns.n) {
                sql_emit(pr, sorts[c->sort]);
                print_on_conflict(pr, c->conflict);
                if (c->autoincrement)
                        sql_emit(pr, "AUTOINCREMENT");
                return;
        }
        sql_emit_list_open(pr);
        sql_emit_nodes(pr, &c->columns);
        if (c->autoincrement)
                sql_emit(pr, "AUTOINCREMENT");
        sql_emit(pr, ")");
        print_on_conflict(pr, c->conflict);
}

static void print_generated(struct sql_printer *pr, const struct sql_constraint *c)
{
        static const char *const storages[] = { "VIRTUAL", "STORED" };

        sql_emit(pr, "GENERATED ALWAYS AS");
        print_parenthesised(pr, c->expr);
        sql_emit(pr, storages[c->storage]);
}

static void print_constraint(struct sql_printer *pr, const struct sql_constraint *c)
{
        if (c->name.text) {
                sql_emit(pr, "CONSTRAINT");
                sql_print_name(pr, &c->name);
        }
        switch (c->type) {
        case SQL_CONSTRAINT_NAME:
                break;
        case SQL_CONSTRAINT_PRIMARY_KEY:
        case SQL_CONSTRAINT_UNIQUE:
                print_key(pr, c);
                break;
        case SQL_CONSTRAINT_CHECK:
                sql_emit(pr, "CHECK");
                print_parenthesised(pr, c->expr);
                print_on_conflict(pr, c->conflict);
                break;
        case SQL_CONSTRAINT_FOREIGN_KEY:
                print_foreign_key(pr, c);
                break;
        case SQL_CONSTRAINT_NOT_NULL:
        case SQL_CONSTRAINT_NULL:
                sql_emit(pr, c->type == SQL_CONSTRAINT_NULL ? "NULL" : "NOT NULL");
                print_on_conflict(pr, c->conflict);
                break;
        case SQL_CONSTRAINT_DEFAULT:
                sql_emit(pr, "DEFAULT");
                if (c->is_parenthesised)
                        print_parenthesised(pr, c->expr);
                else
                        sql_print_node(pr, c->expr);
                break;
        case SQL_CONSTRAINT_COLLATE:
                sql_emit(pr, "COLLATE");
                sql_print_name(pr, &c->collation);
                break;
        case SQL_CONSTRAINT_GENERATED:
                print_generated(pr, c);
                break;
        case SQL_CONSTRAINT_DEFERRABLE:
                print_deferrable(pr, c);
                break;
        }
}

static void print_column_def(struct sql_printer *pr, const struct sql_column_def *c)
{
        sql_print_name(pr, &c->name);
        sql_emit_n(pr, c->type.data, c->type.n_bytes);
        for (uint32_t i = 0; i < c->constraints.n; i++)
                sql_print_node(pr, c->constraints.items[i]);
}

static void print_option(struct sql_printer *pr, const struct sql_table_option *o)
{
        static const char *const words[] = {
                [SQL_OPTION_WITHOUT_ROWID] = "WITHOUT ROWID",
                [SQL_OPTION_STRICT] = "STRICT",
                [SQL_OPTION_SHARD_BY_HASH] = "SHARD BY HASH",
                [SQL_OPTION_SHARD_BY_CONSISTENT_HASH] = "SHARD BY CONSISTENT_HASH",
                [SQL_OPTION_SHARD_BY_RANGE] = "SHARD BY RANGE",
                [SQL_OPTION_UNSHARDED] = "UNSHARDED",
                [SQL_OPTION_REFERENCE] = "REFERENCE",
        };

        sql_emit(pr, words[o->type]);
        if (o->columns.n)
                sql_emit_names(pr, &o->columns);
        if (o->split_at.n) {
                sql_emit(pr, "SPLIT AT");
                sql_emit_list_open(pr);
                sql_emit_nodes(pr, &o->split_at);
                sql_emit(pr, ")");
        }
}

/* ---- CREATE ---- */

static void print_create(struct sql_printer *pr, const char *words, bool if_not_exists,
                         const struct sql_table_name *name)
{
        sql_emit(pr, words);
        if (if_not_exists)
                sql_emit(pr, "IF NOT EXISTS");
        sql_print_node(pr, name);
}

static bool is_shoal_option(const struct sql_table_option *o)
{
        return o->type >= SQL_OPTION_SHARD_BY_HASH;
}

static void print_create_table(struct sql_printer *pr, const struct sql_create_table *s)
{
        bool is_first = true;

        print_create(pr, s->is_temp ? "CREATE TEMP TABLE" : "CREATE TABLE", s->if_not_exists,
                     s->table);
        if (s->select) {
                sql_emit(pr, "AS");
                pr->keep_names = SQL_KEEP_INNER;
                sql_print_node(pr, s->select);
                return;
        }
        sql_emit_list_open(pr);
        sql_emit_nodes(pr, &s->columns);
        if (s->constraints.n) {
                sql_emit(pr, ",");
                sql_emit_nodes(pr, &s->constraints);
        }
        sql_emit(pr, ")");
        for (uint32_t i = 0; i < s->options.n; i++) {
                if (is_shoal_option(s->options.items[i]) && pr->options->plain_sqlite)
                        continue;
                if (!is_first)
                        sql_emit(pr, ",");
                is_first = false;
                sql_print_node(pr, s->options.items[i]);
        }
}

void sql_print_create_table(struct buf *b, const struct sql_stmt *st)
{
        const struct sql_create_table *s = st->create_table;
        const char *comma = " ";
        bool has_shoal = false;

        for (uint32_t i = 0; i < s->options.n; i++)
                has_shoal = has_shoal || is_shoal_option(s->options.items[i]);
        if (!has_shoal) {
                buf_add(b, st->text + s->span.start, s->span.end - s->span.start);
                return;
        }
        buf_add(b, st->text + s->span.start, s->body.end - s->span.start);
        for (uint32_t i = 0; i < s->options.n; i++) {
                const struct sql_table_option *o = s->options.items[i];

                if (is_shoal_option(o))
                        continue;
                buf_add_str(b, comma);
                buf_add(b, st->text + o->span.start, o->span.end - o->span.start);
                comma = ", ";
        }
}

static void print_create_index(struct sql_printer *pr, const struct sql_create_index *s)
{
        sql_emit(pr, "CREATE");
        if (s->is_global && !pr->options->plain_sqlite)
                sql_emit(pr, "GLOBAL");
        print_create(pr, s->is_unique ? "UNIQUE INDEX" : "INDEX", s->if_not_exists, s->index);
        sql_emit(pr, "ON");
        sql_print_name(pr, &s->table);
        sql_emit_list_open(pr);
        sql_emit_nodes(pr, &s->columns);
        sql_emit(pr, ")");
        sql_emit_clause(pr, "WHERE", s->where);
}

static void print_create_view(struct sql_printer *pr, const struct sql_create_view *s)
{
        print_create(pr, s->is_temp ? "CREATE TEMP VIEW" : "CREATE VIEW", s->if_not_exists,
                     s->view);
        if (s->columns.n)
                sql_emit_names(pr, &s->columns);
        sql_emit(pr, "AS");
        pr->keep_names = s->columns.n ? SQL_KEEP_NONE : SQL_KEEP_INNER;
        sql_print_node(pr, s->select);
}

static void print_create_trigger(struct sql_printer *pr, const struct sql_create_trigger *s)
{
        static const char *const times[] = { "", "BEFORE", "AFTER", "INSTEAD OF" };

        print_create(pr, s->is_temp ? "CREATE TEMP TRIGGER" : "CREATE TRIGGER", s->if_not_exists,
                     s->trigger);
        sql_emit(pr, times[s->time]);
        sql_emit(pr, s->event == SQL_INSERT   ? "INSERT"
                     : s->event == SQL_UPDATE ? "UPDATE"
                                              : "DELETE");
        for (uint32_t i = 0; i < s->update_of.n; i++) {
                sql_emit(pr, i ? "," : "OF");
                sql_print_name(pr, &s->update_of.items[i]);
        }
        sql_emit(pr, "ON");
        sql_print_node(pr, s->table);
        if (s->for_each_row)
                sql_emit(pr, "FOR EACH ROW");
        sql_emit_clause(pr, "WHEN", s->when);
        sql_emit(pr, "BEGIN");
        for (uint32_t i = 0; i < s->body.n; i++) {
                sql_print_node(pr, s->body.items[i]);
                sql_emit(pr, ";");
        }
        sql_emit(pr, "END");
}

static void print_create_virtual_table(struct sql_printer *pr,
                                       const struct sql_create_virtual_table *s)
{
        print_create(pr, "CREATE VIRTUAL TABLE", s->if_not_exists, s->table);
        sql_emit(pr, "USING");
        sql_print_name(pr, &s->module);
        if (!s->has_args)
                return;
        sql_emit(pr, "(");
        for (uint32_t i = 0; i < s->args.n; i++) {
                if (i)
                        sql_emit(pr, ",");
                sql_emit_n(pr, s->args.items[i].data, s->args.items[i].n_bytes);
        }
        sql_emit(pr, ")");
}

/* ---- the rest ---- */

static void print_alter_table(struct sql_printer *pr, const struct sql_alter_table *s)
{
        sql_emit(pr, "ALTER TABLE");
        sql_print_node(pr, s->table);
        switch (s->type) {
        case SQL_ALTER_RENAME_TABLE:
                sql_emit(pr, "RENAME TO");
                break;
        case SQL_ALTER_RENAME_COLUMN:
                sql_emit(pr, "RENAME COLUMN");
                sql_print_name(pr, &s->column);
                sql_emit(pr, "TO");
                break;
        case SQL_ALTER_ADD_COLUMN:
                sql_emit(pr, "ADD COLUMN");
                sql_print_node(pr, s->column_def);
                break;
        case SQL_ALTER_DROP_COLUMN:
                sql_emit(pr, "DROP COLUMN");
                sql_print_name(pr, &s->column);
                break;
        }
        sql_print_name(pr, &s->new_name);
}

static void print_drop(struct sql_printer *pr, const struct sql_drop *s)
{
        static const char *const words[] = { "DROP TABLE", "DROP INDEX", "DROP VIEW",
                                             "DROP TRIGGER" };

        sql_emit(pr, words[s->object]);
        if (s->if_exists)
                sql_emit(pr, "IF EXISTS");
        sql_print_node(pr, s->name);
}

static void print_transaction(struct sql_printer *pr, const struct sql_transaction *s)
{
        static const char *const words[] = {
                [SQL_TRANSACTION_BEGIN] = "BEGIN",
                [SQL_TRANSACTION_BEGIN_DEFERRED] = "BEGIN DEFERRED",
                [SQL_TRANSACTION_BEGIN_IMMEDIATE] = "BEGIN IMMEDIATE",
                [SQL_TRANSACTION_BEGIN_EXCLUSIVE] = "BEGIN EXCLUSIVE",
                [SQL_TRANSACTION_COMMIT] = "COMMIT",
                [SQL_TRANSACTION_ROLLBACK] = "ROLLBACK",
                [SQL_TRANSACTION_ROLLBACK_TO] = "ROLLBACK TO SAVEPOINT",
                [SQL_TRANSACTION_SAVEPOINT] = "SAVEPOINT",
                [SQL_TRANSACTION_RELEASE] = "RELEASE SAVEPOINT",
        };

        sql_emit(pr, words[s->type]);
        sql_print_name(pr, &s->savepoint);
}

static void print_pragma(struct sql_printer *pr, const struct sql_pragma *s)
{
        sql_emit(pr, "PRAGMA");
        sql_print_node(pr, s->name);
        if (s->form == SQL_PRAGMA_GET)
                return;
        if (s->form == SQL_PRAGMA_SET)
                sql_emit(pr, "=");
        else
                sql_emit(pr, "(");
        if (s->is_number)
                sql_emit_n(pr, s->value.text, s->value.n_bytes);
        else
                sql_print_name(pr, &s->value);
        if (s->form == SQL_PRAGMA_CALL)
                sql_emit(pr, ")");
}

static void print_attach(struct sql_printer *pr, const struct sql_attach *s)
{
        sql_emit_clause(pr, "ATTACH DATABASE", s->file);
        sql_emit_clause(pr, "AS", s->schema);
        sql_emit_clause(pr, "KEY", s->key);
}

static void print_vacuum(struct sql_printer *pr, const struct sql_vacuum *s)
{
        sql_emit(pr, "VACUUM");
        sql_print_name(pr, &s->schema);
        sql_emit_clause(pr, "INTO", s->into);
}

static void print_maintenance(struct sql_printer *pr, const struct sql_maintenance *s)
{
        sql_emit(pr, s->kind == SQL_ANALYZE ? "ANALYZE" : "REINDEX");
        sql_print_node(pr, s->name);
}

void sql_print_ddl_(struct sql_printer *pr, const struct sql_node *n)
{
        const void *node = n;

        switch (n->kind) {
        case SQL_CREATE_TABLE:
                print_create_table(pr, node);
                break;
        case SQL_CREATE_INDEX:
                print_create_index(pr, node);
                break;
        case SQL_CREATE_VIEW:
                print_create_view(pr, node);
                break;
        case SQL_CREATE_TRIGGER:
                print_create_trigger(pr, node);
                break;
        case SQL_CREATE_VIRTUAL_TABLE:
                print_create_virtual_table(pr, node);
                break;
        case SQL_ALTER_TABLE:
                print_alter_table(pr, node);
                break;
        case SQL_DROP:
                print_drop(pr, node);
                break;
        case SQL_TRANSACTION:
                print_transaction(pr, node);
                break;
        case SQL_PRAGMA:
                print_pragma(pr, node);
                break;
        case SQL_ATTACH:
                print_attach(pr, node);
                break;
        case SQL_DETACH:
                sql_emit_clause(pr, "DETACH DATABASE", ((const struct sql_detach *)node)->schema);
                break;
        case SQL_VACUUM:
                print_vacuum(pr, node);
                break;
        case SQL_ANALYZE:
        case SQL_REINDEX:
                print_maintenance(pr, node);
                break;
        case SQL_COLUMN_DEF:
                print_column_def(pr, node);
                break;
        case SQL_CONSTRAINT:
                print_constraint(pr, node);
                break;
        case SQL_TABLE_OPTION:
                print_option(pr, node);
                break;
        default:
                break;
        }
}
