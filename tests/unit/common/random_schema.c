/* random_schema.c - see random_schema.h. */
#include "tests/unit/common/random_schema.h"

#include <stdio.h>

#include "tests/unit/random.h"

unsigned random_pick(struct random_schema *s, unsigned n)
{
        return (unsigned)(random_next(&s->random) % n);
}

#define PICK(s, list) ((list)[random_pick((s), ARRAY_LEN(list))])

/* ---- tables */

static const char *pick_conflict(struct random_schema *s)
{
        static const char *const words[] = { "", "", "", " ON CONFLICT REPLACE",
                                             " ON CONFLICT IGNORE" };

        return PICK(s, words);
}

static void add_references(struct random_schema *s, unsigned i, struct buf *b)
{
        static const char *const actions[] = { "CASCADE", "SET NULL", "SET DEFAULT", "NO ACTION",
                                               "RESTRICT" };
        unsigned parent = random_pick(s, i + 1);
        const struct random_table *t = &s->tables[parent];

        if (parent == i || t->integer_key < 0)
                return;
        buf_printf(b, " REFERENCES %s(%s) ON DELETE %s ON UPDATE %s%s", t->name,
                   t->columns[t->integer_key].name, PICK(s, actions), PICK(s, actions),
                   random_pick(s, 2) ? " DEFERRABLE INITIALLY DEFERRED" : "");
}

static void add_plain_column(struct random_schema *s, unsigned i, struct buf *b)
{
        static const char *const types[] = { "INTEGER", "INT",  "TEXT",    "TEXT COLLATE NOCASE",
                                             "REAL",    "BLOB", "NUMERIC", "",
                                             "DOUBLE" };
        static const char *const names[] = { "\"rowid\"", "\"oid\"", "\"_rowid_\"" };
        struct random_table *t = &s->tables[i];
        struct random_column *c = &t->columns[t->n_columns];

        if (random_pick(s, 12) == 0 && t->n_columns && t->n_columns <= ARRAY_LEN(names))
                snprintf(c->name, sizeof c->name, "%s", names[t->n_columns - 1]);
        else
                snprintf(c->name, sizeof c->name, "\"c %u\"", t->n_columns);
        buf_printf(b, "%s %s", c->name, PICK(s, types));
        if (random_pick(s, 6) == 0)
                buf_printf(b, " UNIQUE%s", pick_conflict(s));
        if (random_pick(s, 6) == 0)
                buf_printf(b, " NOT NULL%s DEFAULT 7", pick_conflict(s));
        else if (random_pick(s, 4) == 0)
                add_references(s, i, b);
        t->n_columns++;
        t->n_plain++;
}

/* SQLite puts a real that is read from a computed column into an integer one as it is, tells the
 * stored generated columns so, and makes it an integer later: what is done again is not told so. No
 * computed column is of type REAL for that. */
static void add_generated_column(struct random_schema *s, struct random_table *t, struct buf *b)
{
        static const char *const expressions[] = { "typeof(\"c 0\")", "\"c 0\" || 'g'",
                                                   "length(\"c 0\")", "5" };
        static const char *const types[] = { "", "TEXT", "INT", "REAL" };
        struct random_column *c = &t->columns[t->n_columns];
        bool is_stored = random_pick(s, 2);

        snprintf(c->name, sizeof c->name, "\"g %u\"", t->n_columns);
        c->is_generated = true;
        buf_printf(b, "%s %s AS (%s) %s%s", c->name,
                   types[random_pick(s, (unsigned)ARRAY_LEN(types) - !is_stored)],
                   PICK(s, expressions), is_stored ? "STORED" : "VIRTUAL",
                   random_pick(s, 8) ? "" : " UNIQUE");
        t->n_columns++;
}

static void add_integer_key(struct random_schema *s, struct random_table *t, struct buf *b)
{
        static const char *const kinds[] = { "", "", " AUTOINCREMENT", " DESC" };
        const char *kind = PICK(s, kinds);
        struct random_column *c = &t->columns[t->n_columns];

        snprintf(c->name, sizeof c->name, "\"c %u\"", t->n_columns);
        buf_printf(b, "%s INTEGER PRIMARY KEY%s", c->name, kind);
        t->integer_key = (int)t->n_columns++;
        t->n_plain++;
}

/* A PRIMARY KEY of one or two plain columns, in any order; "c 0" is one. */
static void add_key(struct random_schema *s, struct random_table *t, struct buf *b)
{
        unsigned i = random_pick(s, t->n_columns), j = random_pick(s, t->n_columns);

        while (t->columns[i].is_generated)
                i = random_pick(s, t->n_columns);
        while (t->columns[j].is_generated)
                j = random_pick(s, t->n_columns);
        buf_printf(b, ", PRIMARY KEY(%s", t->columns[i].name);
        if (i != j)
                buf_printf(b, ", %s", t->columns[j].name);
        buf_printf(b, ")%s", pick_conflict(s));
}

static const char *choose_rowid(const struct random_table *t)
{
        static const char *const names[] = { "\"oid\"", "\"rowid\"", "\"_rowid_\"" };

        for (size_t n = 0; n < ARRAY_LEN(names); n++) {
                bool is_taken = false;

                for (unsigned i = 0; i < t->n_columns; i++)
                        is_taken |= strcmp(t->columns[i].name, names[n]) == 0;
                if (!is_taken)
                        return names[n];
        }
        return NULL;
}

static void make_table(struct random_schema *s, unsigned i, struct buf *b)
{
        enum { KEY_NONE, KEY_INTEGER, KEY_ROWID, KEY_WITHOUT_ROWID, N_KEYS };
        struct random_table *t = &s->tables[i];
        unsigned key = random_pick(s, N_KEYS), n = 2 + random_pick(s, MAX_RANDOM_COLUMNS - 2);
        unsigned key_at = random_pick(s, n);

        *t = (struct random_table){ .integer_key = -1, .has_rowid = key != KEY_WITHOUT_ROWID };
        if (random_pick(s, 2))
                snprintf(t->name, sizeof t->name, "\"t %u\"", i);
        else
                snprintf(t->name, sizeof t->name, "\"T\"\"%u\"", i);
        buf_printf(b, "CREATE TABLE %s(", t->name);
        for (unsigned k = 0; k < n; k++) {
                buf_add_str(b, k ? ", " : "");
                if (key == KEY_INTEGER && k == key_at)
                        add_integer_key(s, t, b);
                else if (k && random_pick(s, 4) == 0)
                        add_generated_column(s, t, b);
                else
                        add_plain_column(s, i, b);
        }
        if (key == KEY_ROWID || key == KEY_WITHOUT_ROWID)
                add_key(s, t, b);
        buf_printf(b, ")%s;\n", t->has_rowid ? "" : " WITHOUT ROWID");
        t->rowid = t->has_rowid ? choose_rowid(t) : NULL;
}

/* ---- values and conditions */

static void add_value(struct random_schema *s, struct buf *b)
{
        static const char *const odd[] = { "NULL",
                                           "NULL",
                                           "x'00ff'",
                                           "zeroblob(3)",
                                           "'a' || char(0)",
                                           "''",
                                           "9007199254740993",
                                           "-9223372036854775808",
                                           "1e300",
                                           "x''",
                                           "-0.0",
                                           "9007199254740994.0",
                                           "'12'",
                                           "'1e2'" };

        switch (random_pick(s, 5)) {
        case 0:
                buf_add_str(b, PICK(s, odd));
                break;
        case 1:
                buf_printf(b, "'%c'", "aAbBcC"[random_pick(s, 6)]);
                break;
        case 2:
                buf_printf(b, "%u.5", random_pick(s, 6));
                break;
        default:
                buf_printf(b, "%u", random_pick(s, 12));
                break;
        }
}

static const char *plain_column(struct random_schema *s, const struct random_table *t)
{
        const struct random_column *c;

        do {
                c = &t->columns[random_pick(s, t->n_columns)];
        } while (c->is_generated);
        return c->name;
}

static void add_where(struct random_schema *s, const struct random_table *t, struct buf *b)
{
        static const char *const operators[] = { "=", "<", ">", "IS NOT" };

        if (random_pick(s, 8) == 0)
                return;
        buf_printf(b, " WHERE %s %s ", t->columns[random_pick(s, t->n_columns)].name,
                   PICK(s, operators));
        add_value(s, b);
}

static void add_columns(const struct random_table *t, struct buf *b)
{
        const char *separator = "";

        for (unsigned i = 0; i < t->n_columns; i++) {
                if (t->columns[i].is_generated)
                        continue;
                buf_printf(b, "%s%s", separator, t->columns[i].name);
                separator = ", ";
        }
}

/* ---- statements */

static const char *or_what(struct random_schema *s)
{
        static const char *const words[] = { "",           "",          "",        "OR REPLACE",
                                             "OR REPLACE", "OR IGNORE", "OR FAIL", "OR ABORT" };

        return random_pick(s, 40) ? PICK(s, words) : "OR ROLLBACK";
}

static void add_row(struct random_schema *s, const struct random_table *t, struct buf *b)
{
        for (unsigned i = 0; i < t->n_plain; i++) {
                buf_add_str(b, i ? ", " : "");
                add_value(s, b);
        }
}

static void add_insert(struct random_schema *s, const struct random_table *t, struct buf *b)
{
        unsigned n_rows = 1 + random_pick(s, 3);

        buf_printf(b, "INSERT %s INTO %s(", or_what(s), t->name);
        add_columns(t, b);
        buf_add_str(b, ") VALUES ");
        for (unsigned i = 0; i < n_rows; i++) {
                buf_add_str(b, i ? ", (" : "(");
                add_row(s, t, b);
                buf_add_str(b, ")");
        }
}

static void add_upsert(struct random_schema *s, const struct random_table *t, struct buf *b)
{
        buf_printf(b, "INSERT INTO %s(", t->name);
        add_columns(t, b);
        buf_add_str(b, ") VALUES (");
        add_row(s, t, b);
        buf_printf(b, ") ON CONFLICT DO UPDATE SET %s = ", plain_column(s, t));
        add_value(s, b);
}

/* Rows of another table, or all of its columns at once. */
static void add_insert_select(struct random_schema *s, const struct random_table *t, struct buf *b)
{
        const struct random_table *from = &s->tables[random_pick(s, s->n_tables)];

        buf_printf(b, "INSERT %s INTO %s", or_what(s), t->name);
        if (random_pick(s, 4) == 0) {
                buf_printf(b, " SELECT * FROM %s", from->name);
                return;
        }
        buf_printf(b, "(");
        add_columns(t, b);
        buf_add_str(b, ") SELECT ");
        for (unsigned i = 0; i < t->n_plain; i++)
                buf_printf(b, "%s%s", i ? ", " : "",
                           from->columns[random_pick(s, from->n_columns)].name);
        buf_printf(b, " FROM %s LIMIT 5", from->name);
}

static void add_update(struct random_schema *s, const struct random_table *t, struct buf *b)
{
        const char *first = plain_column(s, t), *second = plain_column(s, t);

        buf_printf(b, "UPDATE %s %s SET %s = ", or_what(s), t->name, first);
        if (random_pick(s, 2))
                buf_printf(b, "%s + 1", plain_column(s, t));
        else
                add_value(s, b);
        if (first != second) {
                buf_printf(b, ", %s = ", second);
                add_value(s, b);
        }
        if (t->rowid && random_pick(s, 10) == 0)
                buf_printf(b, ", %s = %s + 3", t->rowid, t->rowid);
        add_where(s, t, b);
}

static void add_change(struct random_schema *s, const struct random_table *t, bool in_trigger,
                       struct buf *b)
{
        switch (random_pick(s, 9)) {
        case 0:
        case 1:
        case 2:
        case 3:
                add_insert(s, t, b);
                break;
        case 4:
                if (in_trigger)
                        add_insert(s, t, b);
                else
                        add_upsert(s, t, b);
                break;
        case 5:
                add_insert_select(s, t, b);
                break;
        case 6:
        case 7:
                add_update(s, t, b);
                break;
        default:
                buf_printf(b, "DELETE FROM %s", t->name);
                add_where(s, t, b);
                break;
        }
}

void random_schema_statement(struct random_schema *s, struct buf *b)
{
        add_change(s, &s->tables[random_pick(s, s->n_tables)], false, b);
}

void random_schema_alter(struct random_schema *s, struct buf *b)
{
        struct random_table *t = &s->tables[random_pick(s, s->n_tables)];
        struct random_column *c = &t->columns[t->n_columns];

        if (t->n_columns == ARRAY_LEN(t->columns))
                return;
        snprintf(c->name, sizeof c->name, "\"n %u\"", t->n_columns);
        c->is_generated = random_pick(s, 3) == 0;
        if (c->is_generated)
                buf_printf(b, "ALTER TABLE %s ADD COLUMN %s AS (1) VIRTUAL", t->name, c->name);
        else
                buf_printf(b, "ALTER TABLE %s ADD COLUMN %s %s DEFAULT 5", t->name, c->name,
                           random_pick(s, 2) ? "REAL" : "INT");
        t->n_columns++;
        t->n_plain += !c->is_generated;
}

/* ---- the whole */

static void add_index(struct random_schema *s, unsigned i, struct buf *b)
{
        const struct random_table *t = &s->tables[i];

        buf_printf(b, "CREATE INDEX \"i %u\" ON %s(%s, length(%s)) WHERE %s IS NOT 3;\n", i,
                   t->name, plain_column(s, t), plain_column(s, t), plain_column(s, t));
}

static void add_trigger(struct random_schema *s, unsigned i, struct buf *b)
{
        static const char *const when[] = { "BEFORE INSERT", "AFTER INSERT",  "BEFORE UPDATE",
                                            "AFTER UPDATE",  "BEFORE DELETE", "AFTER DELETE" };
        static const char *const raises[] = { "RAISE(IGNORE)", "RAISE(FAIL, 'f')",
                                              "RAISE(ABORT, 'a')", "RAISE(ROLLBACK, 'r')" };
        const struct random_table *t = &s->tables[random_pick(s, s->n_tables)];

        buf_printf(b, "CREATE TRIGGER \"tr %u\" %s ON %s ", i, PICK(s, when), t->name);
        if (random_pick(s, 3) == 0) {
                buf_printf(b,
                           "WHEN (SELECT count(*) FROM %s) %% 7 = 6 BEGIN SELECT %s; "
                           "END;\n",
                           t->name, random_pick(s, 8) ? raises[random_pick(s, 3)] : raises[3]);
                return;
        }
        buf_add_str(b, "BEGIN ");
        add_change(s, &s->tables[random_pick(s, s->n_tables)], true, b);
        buf_add_str(b, "; END;\n");
}

void random_schema_make(struct random_schema *s, struct buf *b)
{
        s->n_tables = 2 + random_pick(s, MAX_RANDOM_TABLES - 1);
        for (unsigned i = 0; i < s->n_tables; i++)
                make_table(s, i, b);
        for (unsigned i = 0; i < s->n_tables; i++)
                if (random_pick(s, 2))
                        add_index(s, i, b);
        for (unsigned n = random_pick(s, 4), i = 0; i < n; i++)
                add_trigger(s, i, b);
}
