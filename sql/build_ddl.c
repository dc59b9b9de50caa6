/* build_ddl.c - the tree of all other statements, called from the grammar's actions. Runs on the
 * thread that called sql_parse(). */
#include <string.h>
#include <strings.h>

#include "sql/parser_int.h"
#include "sql/shape_int.h"

/* ---- CREATE TABLE ---- */

/* Cuts the word off the end of the text, and the blanks before it. The word may be the end of a
 * longer one: SQLite looks no closer. */
static bool cut_word(struct sql_str *s, const char *text, const char *word)
{
        size_t n = strlen(word);

        if (s->n_bytes < n || strncasecmp(text + s->n_bytes - n, word, n) != 0)
                return false;
        s->n_bytes -= (uint32_t)n;
        while (s->n_bytes && (text[s->n_bytes - 1] == ' ' ||
                              (text[s->n_bytes - 1] >= '\t' && text[s->n_bytes - 1] <= '\r')))
                s->n_bytes--;
        return true;
}

/* To the grammar, GENERATED ALWAYS at the end of a type may be part of its name, as it is to
 * SQLite's. Goes back to the end of the word before. */
static void cut_generated_always(struct sql_str *type)
{
        char *text = (char *)type->data;
        struct sql_token t = { 0, 0 };
        uint32_t end = 0;
        uint32_t end_before = 0;
        bool is_cut;

        if (type->n_bytes < 16 || !cut_word(type, text, "always"))
                return;
        is_cut = cut_word(type, text, "generated");
        text[type->n_bytes] = '\0';
        while (sql_lex(text, t.offset + t.n_bytes, &t) != 0) {
                end_before = end;
                end = t.offset + t.n_bytes;
        }
        /* Still there if a comment parted it from ALWAYS, which hides it from SQLite. */
        if (!is_cut && end >= 9 && strncasecmp(text + end - 9, "generated", 9) == 0)
                end = end_before;
        text[end] = '\0';
        *type = (struct sql_str){ end ? text : NULL, end };
}

struct sql_column_def *sql_column_def_new(struct sql_parser *p, struct sql_name name,
                                          struct sql_span type)
{
        struct sql_column_def *c = sql_node_new(p, SQL_COLUMN_DEF);

        c->span.start = name.offset;
        c->name = name;
        p->column = name;
        c->type = sql_text_between(p, type.start, type.end);
        if (c->type.data)
                cut_generated_always(&c->type);
        return c;
}

struct sql_constraint *sql_constraint_new(struct sql_parser *p, enum sql_constraint_type type,
                                          uint32_t start)
{
        struct sql_constraint *c = sql_node_new(p, SQL_CONSTRAINT);

        c->span.start = start;
        c->type = type;
        return c;
}

void sql_constraint_push(struct sql_parser *p, struct sql_constraints *list,
                         struct sql_constraint *c, bool joined)
{
        struct sql_constraint *last = list->n ? list->items[list->n - 1] : NULL;

        if (joined && last && last->type == SQL_CONSTRAINT_NAME && c->type != SQL_CONSTRAINT_NAME) {
                c->name = last->name;
                c->span.start = last->span.start;
                list->items[list->n - 1] = c;
                return;
        }
        if (joined && last && c->type == SQL_CONSTRAINT_DEFERRABLE &&
            last->type == SQL_CONSTRAINT_FOREIGN_KEY && !last->deferrable) {
                last->deferrable = c->deferrable;
                last->initially = c->initially;
                last->span.end = c->span.end;
                return;
        }
        sql_push(p, list, c);
}

void sql_generated_storage(struct sql_parser *p, struct sql_constraint *c, struct sql_token word)
{
        if (sql_token_is(p, word, "VIRTUAL"))
                c->storage = SQL_STORAGE_VIRTUAL;
        else if (sql_token_is(p, word, "STORED"))
                c->storage = SQL_STORAGE_STORED;
        else
                sql_fail(p, word.offset, "error in generated column \"%s\"",
                         p->column.text ? p->column.text : "");
}

/* ---- options ---- */

struct sql_table_option *sql_option_new(struct sql_parser *p, enum sql_table_option_type type,
                                        uint32_t start)
{
        struct sql_table_option *o = sql_node_new(p, SQL_TABLE_OPTION);

        o->span.start = start;
        o->type = type;
        return o;
}

static void fail_option(struct sql_parser *p, struct sql_token t)
{
        sql_fail(p, t.offset, "unknown table option: %.*s", (int)t.n_bytes, p->text + t.offset);
}

struct sql_table_option *sql_option_word(struct sql_parser *p, struct sql_token word)
{
        if (!sql_token_is(p, word, "STRICT"))
                fail_option(p, word);
        return sql_option_new(p, SQL_OPTION_STRICT, word.offset);
}

struct sql_table_option *sql_option_without(struct sql_parser *p, struct sql_token first,
                                            struct sql_token word)
{
        if (!sql_token_is(p, word, "ROWID"))
                fail_option(p, word);
        return sql_option_new(p, SQL_OPTION_WITHOUT_ROWID, first.offset);
}

void sql_option_push(struct sql_parser *p, struct sql_table_options *list,
                     struct sql_table_option *o)
{
        p->last_option_is_shoal = o->type >= SQL_OPTION_SHARD_BY_HASH;
        sql_push(p, list, o);
}

/* ---- the rest ---- */

struct sql_node *sql_alter_finish(struct sql_parser *p, struct sql_alter_table *s,
                                  enum sql_alter_type type, struct sql_name column,
                                  struct sql_name new_name)
{
        s->span.end = p->end_of_last;
        s->type = type;
        s->column = column;
        s->new_name = new_name;
        return (struct sql_node *)s;
}

struct sql_node *sql_drop_new(struct sql_parser *p, struct sql_token first, enum sql_object object,
                              bool if_exists, struct sql_table_name *name)
{
        struct sql_drop *s = sql_node_new(p, SQL_DROP);

        s->span.start = first.offset;
        s->object = object;
        s->if_exists = if_exists;
        s->name = name;
        return (struct sql_node *)s;
}

struct sql_node *sql_transaction_new(struct sql_parser *p, struct sql_token first,
                                     enum sql_transaction_type type, struct sql_name savepoint)
{
        struct sql_transaction *s = sql_node_new(p, SQL_TRANSACTION);

        s->span.start = first.offset;
        s->type = type;
        s->savepoint = savepoint;
        return (struct sql_node *)s;
}

struct sql_node *sql_pragma_finish(struct sql_parser *p, struct sql_pragma *s,
                                   enum sql_pragma_form form, struct sql_pragma_value value)
{
        s->span.end = p->end_of_last;
        s->form = form;
        s->is_number = value.is_number;
        s->value = sql_name_from(p, value.token);
        if (value.is_negative && s->value.text) {
                s->value.text = arena_printf(p->arena, "-%s", s->value.text);
                s->value.n_bytes = s->value.text ? s->value.n_bytes + 1 : 0;
        }
        return (struct sql_node *)s;
}

struct sql_node *sql_vacuum_new(struct sql_parser *p, struct sql_token first,
                                struct sql_name schema, struct sql_expr *into)
{
        struct sql_vacuum *s = sql_node_new(p, SQL_VACUUM);

        s->span.start = first.offset;
        s->schema = schema;
        s->into = into;
        return (struct sql_node *)s;
}

struct sql_node *sql_maintenance_new(struct sql_parser *p, enum sql_kind kind,
                                     struct sql_token first, struct sql_table_name *name)
{
        struct sql_maintenance *s = sql_node_new(p, kind);

        s->span.start = first.offset;
        s->name = name;
        return (struct sql_node *)s;
}

void sql_statement_done(struct sql_parser *p, enum sql_explain explain, struct sql_node *body)
{
        struct sql_stmt *st = p->stmt;

        p->done = true;
        st->explain = explain;
        st->body = body;
        st->type = body->kind;
        st->span = (struct sql_span){ body->span.start, p->end_of_last };
}
