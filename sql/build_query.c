/* build_query.c - SELECT, FROM, INSERT and variables, called from the grammar's actions. Runs on
 * the thread that called sql_parse(). */
#include <string.h>

#include "sql/parse.h"
#include "sql/parser_int.h"
#include "sql/shape_int.h"

/* ---- variables ---- */

enum { FIRST_SLOTS = 16 };

static uint32_t hash_text(const char *s, uint32_t n)
{
        uint32_t h = 2166136261u;

        for (uint32_t i = 0; i < n; i++)
                h = (h ^ (uint8_t)s[i]) * 16777619u;
        return h;
}

/* Where the name is, or is to go: an index into the variables plus one. Half of the slots are
 * always free. */
static uint32_t *find_slot(const struct sql_parser *p, struct sql_str name)
{
        const struct sql_variable *known = p->stmt->variables.items;
        uint32_t i = hash_text(name.data, name.n_bytes);

        for (;; i++) {
                uint32_t *slot = &p->slots[i & (p->n_slots - 1)];
                const struct sql_str *s;

                if (!*slot)
                        return slot;
                s = &known[*slot - 1].name;
                if (s->n_bytes == name.n_bytes && memcmp(s->data, name.data, s->n_bytes) == 0)
                        return slot;
        }
}

static bool make_room(struct sql_parser *p)
{
        uint32_t *old = p->slots;
        uint32_t n_old = p->n_slots;
        uint32_t *slots;

        if (p->stmt->variables.n * 2 < n_old)
                return true;
        slots = arena_calloc(p->arena, n_old ? n_old * 2 : FIRST_SLOTS, sizeof *slots);
        if (!slots)
                return false;
        p->slots = slots;
        p->n_slots = n_old ? n_old * 2 : FIRST_SLOTS;
        for (uint32_t i = 0; i < n_old; i++)
                if (old[i])
                        *find_slot(p, p->stmt->variables.items[old[i] - 1].name) = old[i];
        return true;
}

/* ?7, or 0 if that is no number for a variable. */
static uint32_t explicit_number(struct sql_str name)
{
        uint32_t number = 0;

        for (uint32_t i = 1; i < name.n_bytes; i++) {
                number = number * 10 + (uint32_t)(name.data[i] - '0');
                if (number > SQL_MAX_VARIABLE)
                        return 0;
        }
        return number;
}

/* The number of a variable with a name, which is number if it is new. 0: the arena is exhausted. */
static uint32_t number_of(struct sql_parser *p, struct sql_str name, uint32_t number)
{
        uint32_t *slot = make_room(p) ? find_slot(p, name) : NULL;

        if (!slot)
                return 0;
        if (!*slot) {
                if (!sql_variables_add(p->arena, &p->stmt->variables,
                                       (struct sql_variable){ number, name }))
                        return 0;
                *slot = p->stmt->variables.n;
        }
        return p->stmt->variables.items[*slot - 1].number;
}

struct sql_expr *sql_expr_variable(struct sql_parser *p, struct sql_token t)
{
        struct sql_expr *e = sql_expr_new(p, SQL_EXPR_VARIABLE, t.offset);
        const char *s = p->text + t.offset;

        if (s[0] == '#' && s[1] >= '0' && s[1] <= '9') {
                /* A register of SQLite's own, for its eyes only. */
                sql_fail_syntax(p, t);
                return e;
        }
        e->number = p->stmt->n_variables + 1;
        if (t.n_bytes > 1) {
                struct sql_str name = sql_text_between(p, t.offset, t.offset + t.n_bytes);

                if (!name.data)
                        return e;
                e->variable_name = name;
                if (s[0] == '?')
                        e->number = explicit_number(name);
                e->number = number_of(p, name, e->number);
                if (s[0] == '?' && e->number == 0)
                        sql_fail(p, t.offset, "variable number must be between ?1 and ?%d",
                                 SQL_MAX_VARIABLE);
        }
        if (e->number > SQL_MAX_VARIABLE)
                sql_fail(p, t.offset, "too many SQL variables");
        if (e->number > p->stmt->n_variables)
                p->stmt->n_variables = e->number;
        return e;
}

/* ---- SELECT ---- */

static uint32_t max_depth(uint32_t a, const void *node)
{
        const struct sql_node *n = node;

        return n && n->depth > a ? n->depth : a;
}

static uint32_t depth_of_sources(uint32_t depth, const struct sql_sources *from)
{
        for (uint32_t i = 0; i < from->n; i++)
                depth = max_depth(depth, from->items[i]);
        return depth;
}

static uint32_t depth_of_exprs(uint32_t depth, const struct sql_exprs *list)
{
        for (uint32_t i = 0; i < list->n; i++)
                depth = max_depth(depth, list->items[i]);
        return depth;
}

static uint32_t depth_of_terms(uint32_t depth, const struct sql_order_terms *terms)
{
        for (uint32_t i = 0; i < terms->n; i++)
                depth = max_depth(depth, terms->items[i]->expr);
        return depth;
}

static uint32_t depth_of_arm(const struct sql_arm *arm)
{
        uint32_t depth = max_depth(max_depth(0, arm->where), arm->having);

        for (uint32_t i = 0; i < arm->results.n; i++)
                depth = max_depth(depth, arm->results.items[i]->expr);
        for (uint32_t i = 0; i < arm->rows.n; i++)
                depth = depth_of_exprs(depth, &arm->rows.items[i]->values);
        for (uint32_t i = 0; i < arm->windows.n; i++) {
                const struct sql_window *w = arm->windows.items[i];

                depth = depth_of_terms(depth_of_exprs(depth, &w->partition), &w->order);
                depth = max_depth(max_depth(depth, w->start_expr), w->end_expr);
        }
        return depth_of_sources(depth_of_exprs(depth, &arm->group_by), &arm->from);
}

static void set_clauses(struct sql_select *s, const struct sql_arm_clauses *c)
{
        s->order_by = c->order_by;
        s->limit = c->limit.limit;
        s->offset = c->limit.offset;
        s->limit_comma = c->limit.comma;
}

struct sql_compound_state sql_compound_begin(struct sql_parser *p,
                                             const struct sql_arm_clauses *first)
{
        struct sql_select *s = sql_node_new(p, SQL_SELECT);

        s->span.start = first->arm->span.start;
        s->depth = depth_of_arm(first->arm);
        sql_push(p, &s->arms, first->arm);
        set_clauses(s, first);
        return (struct sql_compound_state){ .select = s };
}

void sql_compound_add(struct sql_parser *p, struct sql_compound_state *c, enum sql_compound op,
                      const struct sql_arm_clauses *next)
{
        struct sql_select *s = c->select;
        uint32_t depth = depth_of_arm(next->arm);

        if (s->order_by.n || s->limit) {
                c->misplaced = s->order_by.n ? "ORDER BY" : "LIMIT";
                c->compound = op;
        }
        next->arm->compound = op;
        sql_push(p, &s->arms, next->arm);
        set_clauses(s, next);
        if (depth > s->depth)
                s->depth = depth;
}

struct sql_select *sql_compound_end(struct sql_parser *p, struct sql_compound_state c,
                                    struct sql_with *with)
{
        static const char *const words[] = {
                [SQL_COMPOUND_UNION] = "UNION",
                [SQL_COMPOUND_UNION_ALL] = "UNION ALL",
                [SQL_COMPOUND_EXCEPT] = "EXCEPT",
                [SQL_COMPOUND_INTERSECT] = "INTERSECT",
        };
        struct sql_select *s = c.select;
        uint32_t depth = max_depth(max_depth(s->depth, s->limit), s->offset);

        depth = depth_of_terms(depth, &s->order_by);
        if (with) {
                s->with = with;
                s->span.start = with->span.start;
                for (uint32_t i = 0; i < with->ctes.n; i++)
                        depth = max_depth(depth, with->ctes.items[i]->select);
        }
        s->depth = depth + 1;
        s->span.end = p->end_of_last;
        if (c.misplaced)
                sql_fail(p, p->end_of_last, "%s clause should come after %s not before",
                         c.misplaced, words[c.compound]);
        if (s->depth > SQL_MAX_DEPTH)
                sql_fail_complex(p, "Expression tree is too large (maximum depth 1000)");
        return s;
}

struct sql_result *sql_result_new(struct sql_parser *p, struct sql_expr *e, uint32_t here,
                                  struct sql_name alias)
{
        struct sql_result *r = sql_node_new(p, SQL_RESULT);

        r->span.start = e->span.start;
        r->expr = e;
        r->alias = alias;
        if (!sql_expr_is_column(e))
                r->text = sql_trimmed_text(p, e->span.start, here);
        return r;
}

/* ---- FROM ---- */

struct sql_source *sql_source_new(struct sql_parser *p, enum sql_source_type type, uint32_t start,
                                  struct sql_name alias)
{
        struct sql_source *s = sql_node_new(p, SQL_SOURCE);

        s->span.start = start;
        s->type = type;
        s->alias = alias;
        return s;
}

struct sql_sources sql_from_add(struct sql_parser *p, struct sql_from_prefix *prefix,
                                struct sql_source *s, const struct sql_join_constraint *c)
{
        uint32_t depth = max_depth(max_depth(0, c->on), s->select);

        s->join = prefix->join;
        s->on = c->on;
        s->using_columns = c->using_columns;
        s->depth = depth_of_sources(depth_of_exprs(depth, &s->args), &s->sources) + 1;
        if (s->depth > SQL_MAX_DEPTH)
                sql_fail_complex(p, "Expression tree is too large (maximum depth 1000)");
        if (!prefix->sources.n && (c->on || c->using_columns.n))
                sql_fail(p, s->span.start, "a JOIN clause is required before %s",
                         c->on ? "ON" : "USING");
        sql_push(p, &prefix->sources, s);
        return prefix->sources;
}

static uint32_t join_word(const struct sql_parser *p, struct sql_token t)
{
        static const struct {
                const char *word;
                uint32_t join;
        } words[] = {
                { "NATURAL", SQL_JOIN_NATURAL },
                { "LEFT", SQL_JOIN_LEFT | SQL_JOIN_OUTER },
                { "RIGHT", SQL_JOIN_RIGHT | SQL_JOIN_OUTER },
                { "FULL", SQL_JOIN_LEFT | SQL_JOIN_RIGHT | SQL_JOIN_OUTER },
                { "OUTER", SQL_JOIN_OUTER },
                { "INNER", SQL_JOIN_INNER },
                { "CROSS", SQL_JOIN_INNER | SQL_JOIN_CROSS },
        };

        for (size_t i = 0; i < ARRAY_LEN(words); i++)
                if (sql_token_is(p, t, words[i].word))
                        return words[i].join;
        return 0;
}

uint32_t sql_join_type(struct sql_parser *p, struct sql_token a, struct sql_token b,
                       struct sql_token c)
{
        const struct sql_token words[] = { a, b, c };
        const uint32_t sides = SQL_JOIN_LEFT | SQL_JOIN_RIGHT;
        uint32_t join = 0;
        bool ok = true;

        for (size_t i = 0; i < ARRAY_LEN(words) && words[i].n_bytes; i++) {
                uint32_t j = join_word(p, words[i]);

                ok = ok && j;
                join |= j;
        }
        if ((join & SQL_JOIN_INNER) && (join & SQL_JOIN_OUTER))
                ok = false;
        if ((join & SQL_JOIN_OUTER) && !(join & sides))
                ok = false;
        if (!ok)
                sql_fail(p, a.offset, "unknown join type: %.*s%s%.*s%s%.*s", (int)a.n_bytes,
                         p->text + a.offset, b.n_bytes ? " " : "", (int)b.n_bytes,
                         p->text + b.offset, c.n_bytes ? " " : "", (int)c.n_bytes,
                         p->text + c.offset);
        return join;
}

/* ---- INSERT ---- */

struct sql_insert *sql_insert_finish(struct sql_parser *p, struct sql_insert *s,
                                     struct sql_with *with, struct sql_table_name *table,
                                     struct sql_names columns, struct sql_select *select,
                                     const struct sql_insert_tail *tail)
{
        s->span.end = p->end_of_last;
        if (with) {
                s->with = with;
                s->span.start = with->span.start;
        }
        s->table = table;
        s->columns = columns;
        s->select = select;
        s->upserts = tail->upserts;
        s->returning = tail->returning;
        return s;
}
