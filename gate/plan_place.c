/* plan_place.c - co-location: which joins, subqueries and compounds shards can answer on their own.
 * docs/adr says why each rule holds. Loop thread. */
#include "gate/plan_place.h"

#include <string.h>
#include <strings.h>

/* Places one arm. outer: the rows of an arm that lies on several shards, for each of which this arm
 * is to be answered where that row lies; else NULL. */
struct placing {
        struct planner *p;
        struct query_arm *arm;
        const struct place *outer;
        struct place *place;   /* what comes out */
        struct place *sources; /* of each source */
};

static enum err_code place_arm_in(struct planner *p, struct query_arm *arm,
                                  const struct place *outer, struct place *ret);

/* ---- sources */

struct key *key_of_table(struct planner *p, struct source *s)
{
        const struct catalog_table *t = s->table;
        struct key *key = arena_calloc(p->scratch, 1, sizeof *key);

        if (!key)
                return NULL;
        key->table = t;
        key->columns = arena_calloc(p->scratch, t->n_shard_columns + 1, sizeof *key->columns);
        if (!key->columns)
                return NULL;
        for (size_t i = 0; i < t->n_shard_columns; i++)
                key->columns[i] = (struct key_column){
                        .source = s,
                        .column = t->shard_columns[i] < 0 || t->shard_columns[i] == t->rowid_column
                                      ? COLUMN_ROWID
                                      : t->shard_columns[i],
                };
        return key;
}

static struct key *copy_key(struct planner *p, const struct key *from)
{
        struct key *key = arena_memdup(p->scratch, from, sizeof *from);

        if (key)
                key->columns =
                    arena_memdup(p->scratch, from->columns,
                                 (from->table->n_shard_columns + 1) * sizeof *key->columns);
        return key && key->columns ? key : NULL;
}

/* The keys of a query's rows, as those of the source that shows them. */
static bool take_keys(struct planner *p, const struct keys *from, struct source *s,
                      struct keys *ret)
{
        *ret = (struct keys){ 0 };
        for (uint32_t i = 0; i < from->n; i++) {
                struct key *key = copy_key(p, from->items[i]);

                if (!key || !sql_list_add(p->scratch, ret, key))
                        return false;
                for (size_t k = 0; s && k < key->table->n_shard_columns; k++)
                        key->columns[k].source = s;
        }
        return true;
}

/* Every arm answered where a row of outer lies. */
static enum err_code place_here(struct planner *p, struct query *q, const struct place *outer,
                                bool *ret_here)
{
        *ret_here = false;
        if (q->is_recursive)
                return ERR_OK;
        for (uint32_t i = 0; i < q->n_arms; i++) {
                struct place place;
                enum err_code rc = place_arm_in(p, &q->arms[i], outer, &place);

                if (rc || place.kind != PLACE_SHARDS)
                        return rc;
        }
        *ret_here = true;
        return ERR_OK;
}

static enum err_code place_source(struct placing *w, struct source *s, struct place *ret)
{
        struct place of = { 0 };
        struct key *key;
        bool here;
        enum err_code rc;

        *ret = (struct place){ .kind = PLACE_ANYWHERE };
        if (s->table) {
                if (s->table->sharding == SHARDING_REFERENCE)
                        return ERR_OK;
                ret->kind = PLACE_HOME;
                if (!is_spread(w->p, s->table))
                        return ERR_OK;
                ret->kind = PLACE_SHARDS;
                key = key_of_table(w->p, s);
                if (!key || !sql_list_add(w->p->scratch, &ret->keys, key))
                        return planner_no_memory(w->p);
                return ERR_OK;
        }
        if (!s->query)
                return ERR_OK;
        if (!s->is_recursive) {
                rc = place_query(w->p, s->query, &of);
                if (rc)
                        return rc;
        }
        ret->kind = of.kind;
        ret->route = of.route;
        if (!take_keys(w->p, &of.keys, s, &ret->keys))
                return planner_no_memory(w->p);
        if (of.kind == PLACE_NOWHERE && w->outer && !s->is_recursive) {
                rc = place_here(w->p, s->query, w->outer, &here);
                if (here)
                        ret->kind = PLACE_ANYWHERE;
                return rc;
        }
        return ERR_OK;
}

/* ---- equalities */

static bool is_plain_inner(const struct source *s)
{
        return !(s->node->join & (SQL_JOIN_LEFT | SQL_JOIN_RIGHT));
}

static bool is_key_column(const struct placing *w, const struct equals *eq,
                          const struct sql_expr *e)
{
        for (uint32_t i = 0; i < w->arm->n_sources; i++)
                for (uint32_t k = 0; k < w->sources[i].keys.n; k++) {
                        const struct key *key = w->sources[i].keys.items[k];

                        for (size_t c = 0; c < key->table->n_shard_columns; c++)
                                if (equals_names(eq, e, key->columns[c].source,
                                                 key->columns[c].column))
                                        return true;
                }
        return false;
}

/* Two keys pinned to one value are on one shard. */
static enum err_code add_constants(struct placing *w, struct equals *eq, struct sql_expr *e)
{
        const struct sql_expr *value;
        const struct bound_name *bound;
        int slot;
        enum err_code rc;

        if (e->kind != SQL_EXPR_EQ)
                return ERR_OK;
        bound = names_bound(e->left);
        value = bound ? e->right : e->left;
        if (!bound)
                bound = names_bound(e->right);
        if (!bound || !is_plain_value(value) ||
            !is_key_column(w, eq, value == e->right ? e->left : e->right))
                return ERR_OK;
        rc = planner_value_slot(w->p, value, &slot);
        if (!rc && !equals_add_constant(w->p, eq, bound->source, bound->column, slot))
                rc = planner_no_memory(w->p);
        return rc;
}

static enum err_code add_equalities(struct placing *w, struct equals *eq,
                                    const struct sql_exprs *conjuncts)
{
        enum err_code rc = ERR_OK;

        for (uint32_t i = 0; i < conjuncts->n; i++)
                if (!equals_add_conjunct(w->p, eq, conjuncts->items[i]))
                        return planner_no_memory(w->p);
        if (w->arm->n_sources < 2 && !w->arm->subqueries && !w->outer)
                return ERR_OK;
        for (uint32_t i = 0; !rc && i < conjuncts->n; i++)
                rc = add_constants(w, eq, conjuncts->items[i]);
        return rc;
}

/* What every row that is left fulfils. With a RIGHT JOIN that is no more than WHERE, and of no use
 * to tell what is joined with what. */
static enum err_code find_filters(struct placing *w)
{
        struct query_arm *arm = w->arm;
        struct place *place = w->place;

        if (!add_conjuncts(w->p, arm->node->where, &place->filters))
                return planner_no_memory(w->p);
        if (w->outer && !equals_copy(w->p, &w->outer->equals, &place->equals))
                return planner_no_memory(w->p);
        if (arm->has_right)
                return ERR_OK;
        for (uint32_t i = 0; i < arm->n_sources; i++) {
                struct source *s = &arm->sources[i];

                if (!is_plain_inner(s))
                        continue;
                if (!add_conjuncts(w->p, s->node->on, &place->filters) ||
                    (arm->has_merging && !equals_add_merged(w->p, &place->equals, s)))
                        return planner_no_memory(w->p);
        }
        return add_equalities(w, &place->equals, &place->filters);
}

/* What is equal in a row of the left that matches one of source i. */
static enum err_code find_matching(struct placing *w, uint32_t i, struct equals *ret)
{
        struct source *s = &w->arm->sources[i];
        struct sql_exprs conjuncts = { 0 };

        if (!equals_copy(w->p, &w->place->equals, ret))
                return planner_no_memory(w->p);
        if (is_plain_inner(s) && !w->arm->has_right)
                return ERR_OK;
        if (!add_conjuncts(w->p, s->node->on, &conjuncts) ||
            (w->arm->has_merging && !equals_add_merged(w->p, ret, s)))
                return planner_no_memory(w->p);
        return add_equalities(w, ret, &conjuncts);
}

/* ---- joining */

/* Tables sharded alike: the same function of the same number of columns, compared alike. */
static bool is_sharded_alike(const struct catalog_table *a, const struct catalog_table *b)
{
        if (a->sharding != b->sharding || a->n_shard_columns != b->n_shard_columns)
                return false;
        for (size_t i = 0; i < a->n_shard_columns; i++) {
                int x = a->shard_columns[i], y = b->shard_columns[i];
                enum affinity x_affinity = x < 0 ? AFFINITY_INTEGER : a->columns[x].affinity;
                enum affinity y_affinity = y < 0 ? AFFINITY_INTEGER : b->columns[y].affinity;

                if (x_affinity != y_affinity ||
                    (x < 0 ? 0 : a->columns[x].fold) != (y < 0 ? 0 : b->columns[y].fold))
                        return false;
        }
        return true;
}

bool keys_meet(const struct equals *eq, const struct keys *left, const struct keys *right,
               const struct key **ret_left, const struct key **ret_right)
{
        for (uint32_t i = 0; i < left->n; i++)
                for (uint32_t k = 0; k < right->n; k++) {
                        const struct key *a = left->items[i], *b = right->items[k];
                        size_t n = a->table->n_shard_columns, c = 0;

                        if (!is_sharded_alike(a->table, b->table))
                                continue;
                        while (c < n && equals_has(eq, a->columns[c].source, a->columns[c].column,
                                                   b->columns[c].source, b->columns[c].column))
                                c++;
                        if (c < n)
                                continue;
                        *ret_left = a;
                        *ret_right = b;
                        return true;
                }
        return false;
}

/* Where the rows of the left (of the kind so far), joined with those of source i, are made. */
static enum place_kind join_kinds(const struct placing *w, enum place_kind left, uint32_t i,
                                  const struct equals *eq)
{
        enum place_kind right = w->sources[i].kind;
        uint32_t join = i ? w->arm->sources[i].node->join : 0;
        const struct key *a, *b;

        if (left == PLACE_NOWHERE || right == PLACE_NOWHERE)
                return PLACE_NOWHERE;
        if (right == PLACE_HOME || left == PLACE_HOME)
                return left == PLACE_SHARDS || right == PLACE_SHARDS ? PLACE_NOWHERE : PLACE_HOME;
        if (right == PLACE_ANYWHERE)
                return left == PLACE_ANYWHERE || w->outer || !(join & SQL_JOIN_RIGHT)
                           ? left
                           : PLACE_NOWHERE;
        /* Of what is the same on every shard, every shard would keep the rows without a match. */
        if (left == PLACE_ANYWHERE)
                return join & SQL_JOIN_LEFT ? PLACE_NOWHERE : PLACE_SHARDS;
        return keys_meet(eq, &w->place->keys, &w->sources[i].keys, &a, &b) ? PLACE_SHARDS
                                                                           : PLACE_NOWHERE;
}

static enum err_code join_source(struct placing *w, uint32_t i)
{
        uint32_t join = i ? w->arm->sources[i].node->join : 0;
        struct keys *keys = &w->place->keys;
        struct equals eq;
        enum err_code rc = find_matching(w, i, &eq);

        if (rc)
                return rc;
        w->place->kind = join_kinds(w, w->place->kind, i, &eq);
        /* The row around the arm is not one that is joined: it never lacks a match. */
        for (uint32_t k = w->outer ? w->outer->keys.n : 0; k < keys->n; k++)
                keys->items[k]->padded |= (join & SQL_JOIN_RIGHT) != 0;
        for (uint32_t k = 0; k < w->sources[i].keys.n; k++) {
                struct key *key = w->sources[i].keys.items[k];

                key->padded |= (join & SQL_JOIN_LEFT) != 0;
                if (!sql_list_add(w->p->scratch, keys, key))
                        return planner_no_memory(w->p);
        }
        return ERR_OK;
}

/* ---- subqueries of expressions */

/* key IN (SELECT key …): what can be equal lies on the same shard. NOT IN, and NULL instead of
 * false, need to know of the others. */
static bool is_filter(const struct placing *w, const struct sql_expr *e)
{
        for (uint32_t i = 0; i < w->place->filters.n; i++)
                if (w->place->filters.items[i] == e)
                        return e->kind == SQL_EXPR_IN_SELECT && !e->is_not;
        return false;
}

static bool compares_alike(const struct compare_type *a, const struct compare_type *b)
{
        return a->is_typed && b->is_typed && !a->is_unsure && !b->is_unsure &&
               a->affinity == b->affinity && strcasecmp(a->collation, b->collation) == 0;
}

static const struct sql_expr *operand_at(const struct sql_expr *e, int i)
{
        if (e->kind == SQL_EXPR_VECTOR)
                return (uint32_t)i < e->args.n ? e->args.items[i] : NULL;
        return i == 0 ? e : NULL;
}

static bool in_meets(const struct placing *w, const struct subquery *s, const struct key *outer,
                     const struct key *inner)
{
        if (!is_sharded_alike(outer->table, inner->table))
                return false;
        for (size_t i = 0; i < inner->table->n_shard_columns; i++) {
                int column = inner->columns[i].column;
                const struct sql_expr *left = operand_at(s->expr->left, column);
                struct compare_type type;

                if (!left || !equals_names(&w->place->equals, left, outer->columns[i].source,
                                           outer->columns[i].column))
                        return false;
                type = expr_type(left);
                if (!compares_alike(&type, &s->query->columns[column].type))
                        return false;
        }
        return true;
}

static enum err_code place_in(struct placing *w, const struct subquery *s, bool *ret_here)
{
        struct place inner;
        enum err_code rc;

        if (!is_filter(w, s->expr))
                return ERR_OK;
        rc = place_query(w->p, s->query, &inner);
        if (rc || inner.kind != PLACE_SHARDS)
                return rc;
        for (uint32_t i = 0; i < w->place->keys.n; i++)
                for (uint32_t k = 0; k < inner.keys.n; k++)
                        *ret_here |= in_meets(w, s, w->place->keys.items[i], inner.keys.items[k]);
        return ERR_OK;
}

static enum err_code place_subquery(struct placing *w, const struct subquery *s)
{
        bool here = false;
        struct place of;
        enum err_code rc;

        if (w->place->kind == PLACE_SHARDS) {
                rc = place_here(w->p, s->query, w->place, &here);
                if (!rc && !here)
                        rc = place_in(w, s, &here);
        } else {
                rc = place_query(w->p, s->query, &of);
                here = !rc && (of.kind == PLACE_ANYWHERE || of.kind == w->place->kind);
        }
        if (!here)
                w->place->kind = PLACE_NOWHERE;
        return rc;
}

/* ---- an arm */

static enum err_code find_place_route(struct placing *w)
{
        struct place *place = w->place;
        enum err_code rc = ERR_OK;

        place->route = (struct route){ .kind = ROUTE_ALL };
        for (uint32_t i = 0; !rc && i < place->keys.n; i++) {
                struct route route;

                rc =
                    find_route(w->p, place->keys.items[i], &place->equals, &place->filters, &route);
                if (!rc)
                        narrow_route(&place->route, &route);
        }
        for (uint32_t i = 0; i < w->arm->n_sources && !w->arm->has_right; i++) {
                const struct place *s = &w->sources[i];

                if (s->kind == PLACE_SHARDS && is_plain_inner(&w->arm->sources[i]))
                        narrow_route(&place->route, &s->route);
        }
        return rc;
}

static enum err_code place_sources(struct placing *w)
{
        w->sources = arena_calloc(w->p->scratch, w->arm->n_sources + 1, sizeof *w->sources);
        if (!w->sources)
                return planner_no_memory(w->p);
        for (uint32_t i = 0; i < w->arm->n_sources; i++) {
                enum err_code rc = place_source(w, &w->arm->sources[i], &w->sources[i]);

                if (rc)
                        return rc;
        }
        return ERR_OK;
}

static enum err_code place_arm_in(struct planner *p, struct query_arm *arm,
                                  const struct place *outer, struct place *ret)
{
        struct placing w = { .p = p, .arm = arm, .outer = outer, .place = ret };
        enum err_code rc;

        *ret = (struct place){ .kind = outer ? PLACE_SHARDS : PLACE_ANYWHERE };
        rc = place_sources(&w);
        if (!rc && outer && !take_keys(p, &outer->keys, NULL, &ret->keys))
                rc = planner_no_memory(p);
        if (!rc)
                rc = find_filters(&w);
        for (uint32_t i = 0; !rc && i < arm->n_sources; i++)
                rc = join_source(&w, i);
        for (struct subquery *s = arm->subqueries; !rc && s && ret->kind; s = s->next)
                rc = place_subquery(&w, s);
        if (rc)
                return rc;
        ret->groups_whole = ret->distinct_whole = true;
        if (ret->kind == PLACE_SHARDS && !outer) {
                ret->groups_whole = place_groups_are_whole(arm, ret);
                ret->distinct_whole = place_distinct_is_whole(arm, ret);
        }
        return ret->kind == PLACE_SHARDS && !outer ? find_place_route(&w) : ERR_OK;
}

enum err_code place_arm(struct planner *p, struct query_arm *arm, struct place *ret)
{
        return place_arm_in(p, arm, NULL, ret);
}

enum err_code place_each(struct planner *p, struct query_arm *arm, struct place **ret_sources,
                         struct place *ret_all)
{
        struct placing w = { .p = p, .arm = arm, .place = ret_all };
        enum err_code rc = place_sources(&w);

        *ret_all = (struct place){ 0 };
        *ret_sources = w.sources;
        return rc ? rc : find_filters(&w);
}

enum err_code place_matching(struct planner *p, struct query_arm *arm, struct place *sources,
                             struct place *all, uint32_t i, struct equals *ret)
{
        struct placing w = { .p = p, .arm = arm, .place = all, .sources = sources };

        return find_matching(&w, i, ret);
}

/* ---- a query's rows */

/* The keys of an arm's rows that its results show. */
static enum err_code show_keys(struct planner *p, struct query_arm *arm, struct place *place,
                               struct keys *ret)
{
        *ret = (struct keys){ 0 };
        for (uint32_t i = 0; i < place->keys.n; i++) {
                struct key_column shown[ROUTE_MAX_KEY_COLUMNS];
                const struct key *from = place->keys.items[i];
                struct key *key;

                if (!place_shows_key(arm, place, from, shown))
                        continue;
                key = copy_key(p, from);
                if (!key || !sql_list_add(p->scratch, ret, key))
                        return planner_no_memory(p);
                memcpy(key->columns, shown, from->table->n_shard_columns * sizeof *shown);
        }
        return ERR_OK;
}

static bool is_same_key(const struct key *a, const struct key *b)
{
        if (!is_sharded_alike(a->table, b->table))
                return false;
        for (size_t i = 0; i < a->table->n_shard_columns; i++)
                if (a->columns[i].column != b->columns[i].column)
                        return false;
        return true;
}

/* Leaves the keys that the other arm shows in the same columns. */
static bool share_keys(struct planner *p, struct keys *keys, const struct keys *other)
{
        struct keys shared = { 0 };

        for (uint32_t i = 0; i < keys->n; i++)
                for (uint32_t k = 0; k < other->n; k++) {
                        if (!is_same_key(keys->items[i], other->items[k]))
                                continue;
                        keys->items[i]->padded |= other->items[k]->padded;
                        if (!sql_list_add(p->scratch, &shared, keys->items[i]))
                                return false;
                        break;
                }
        *keys = shared;
        return true;
}

/* Equal rows of the arms lie together: a key that all show, compared as the arms compare it. */
static bool has_common_key(const struct query *q, const struct keys *keys)
{
        for (uint32_t i = 0; i < keys->n; i++) {
                const struct key *key = keys->items[i];
                bool alike = !key->padded;

                for (size_t c = 0; alike && c < key->table->n_shard_columns; c++)
                        for (uint32_t k = 1; alike && k < q->n_arms; k++)
                                alike = compares_alike(
                                    &q->arms[0].columns[key->columns[c].column].type,
                                    &q->arms[k].columns[key->columns[c].column].type);
                if (alike)
                        return true;
        }
        return false;
}

static bool is_union_all(const struct query *q)
{
        for (uint32_t i = 1; i < q->n_arms; i++)
                if (q->arms[i].node->compound != SQL_COMPOUND_UNION_ALL)
                        return false;
        return true;
}

static enum err_code add_routes(struct planner *p, struct route *to, const struct route *from,
                                bool is_first)
{
        int *slots;
        size_t width;

        if (is_first) {
                *to = *from;
                return ERR_OK;
        }
        if (to->kind != ROUTE_KEYS || from->kind != ROUTE_KEYS ||
            !is_sharded_alike(to->table, from->table)) {
                *to = (struct route){ .kind = ROUTE_ALL };
                return ERR_OK;
        }
        width = to->table->n_shard_columns;
        slots = arena_alloc(p->arena, ((to->n_keys + from->n_keys) * width + 1) * sizeof *slots);
        if (!slots)
                return planner_no_memory(p);
        memcpy(slots, to->slots, to->n_keys * width * sizeof *slots);
        for (size_t i = 0; i < from->n_keys; i++) {
                size_t k = 0;

                while (k < to->n_keys && memcmp(slots + k * width, from->slots + i * width,
                                                width * sizeof *slots) != 0)
                        k++;
                if (k == to->n_keys)
                        memcpy(slots + to->n_keys++ * width, from->slots + i * width,
                               width * sizeof *slots);
        }
        to->slots = slots;
        return ERR_OK;
}

static enum err_code place_arms(struct planner *p, struct query *q, struct place *ret)
{
        for (uint32_t i = 0; i < q->n_arms; i++) {
                struct place place;
                struct keys keys;
                enum err_code rc = place_arm(p, &q->arms[i], &place);

                if (!rc)
                        rc = show_keys(p, &q->arms[i], &place, &keys);
                if (!rc)
                        rc = add_routes(p, &ret->route, &place.route, i == 0);
                if (rc)
                        return rc;
                if (i == 0) {
                        ret->kind = place.kind;
                        ret->keys = keys;
                } else if (!share_keys(p, &ret->keys, &keys)) {
                        return planner_no_memory(p);
                }
                if (place.kind != ret->kind || !place.groups_whole || !place.distinct_whole)
                        ret->kind = PLACE_NOWHERE;
                if (!ret->kind)
                        return ERR_OK;
        }
        if (ret->kind == PLACE_SHARDS && !is_union_all(q) && !has_common_key(q, &ret->keys))
                ret->kind = PLACE_NOWHERE;
        return ERR_OK;
}

enum err_code place_unlimited(struct planner *p, struct query *q, struct place *ret)
{
        *ret = (struct place){ 0 };
        return place_arms(p, q, ret);
}

enum err_code place_query(struct planner *p, struct query *q, struct place *ret)
{
        enum err_code rc = ERR_OK;

        if (!q->place) {
                q->place = arena_calloc(p->scratch, 1, sizeof *q->place);
                if (!q->place)
                        return planner_no_memory(p);
                if (!q->is_recursive)
                        rc = place_arms(p, q, q->place);
                /* Every shard would cut its own rows. */
                if (q->node->limit && q->place->kind != PLACE_HOME)
                        q->place->kind = PLACE_NOWHERE;
        }
        *ret = *q->place;
        return rc;
}
