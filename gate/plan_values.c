/* plan_values.c - the value vector of one execution: the client's arguments, the literals, what is
 * computed from them. Loop thread, but for plan_bind(). */
#include "gate/plan.h"

#include <string.h>

#include "gate/scratch.h"

/* Expressions computed on the loop thread, for one statement, and the bytes they may look at. */
enum { MAX_INLINE_EXPRESSIONS = 64, MAX_INLINE_BYTES = 256 << 10 };

static bool is_named(const char *name)
{
        return name[0] == ':' || name[0] == '@' || name[0] == '$';
}

/* The parameter that the client calls `name`: with its sigil, or without where only one fits. -1:
 * none, -2: several. */
static int find_param(const struct plan *p, const char *name)
{
        int found = -1;

        for (size_t i = 0; i < p->n_params; i++) {
                const char *have = p->param_names[i];

                if (strcmp(have, name) == 0)
                        return (int)i;
                if (is_named(have) && strcmp(have + 1, name) == 0)
                        found = found == -1 ? (int)i : -2;
        }
        return found;
}

/* Positional arguments go to the numbers that have no name, in order. */
static int next_unnamed(const struct plan *p, size_t from)
{
        for (size_t i = from; i < p->n_params; i++)
                if (!is_named(p->param_names[i]))
                        return (int)i;
        return -1;
}

static enum err_code bind_args(const struct plan *p, const struct plan_arg *args, size_t n_args,
                               struct value *values, struct err *reterr)
{
        size_t next = 0;

        for (size_t i = 0; i < n_args; i++) {
                int k = args[i].name ? find_param(p, args[i].name) : next_unnamed(p, next);

                if (k == -2)
                        return err_set(reterr, ERR_INVALID, "BAD_PARAMETERS",
                                       "parameter %s: the statement has several of that name, say "
                                       "which by its first character",
                                       args[i].name);
                if (k < 0 && args[i].name)
                        return err_set(reterr, ERR_INVALID, "BAD_PARAMETERS",
                                       "the statement has no parameter %s", args[i].name);
                if (k < 0)
                        return err_set(reterr, ERR_INVALID, "BAD_PARAMETERS",
                                       "more values than parameters: the statement takes %zu",
                                       p->n_params);
                values[k] = args[i].value;
                if (!args[i].name)
                        next = (size_t)k + 1;
        }
        return ERR_OK;
}

enum err_code plan_bind(const struct plan *p, const struct plan_arg *args, size_t n_args,
                        const struct value *literals, const int64_t *connection, int64_t now_ms,
                        struct arena *arena, struct plan_values *ret_values, struct err *reterr)
{
        size_t n_given = p->n_params + p->n_literals;
        size_t n = n_given + p->n_slots;
        struct value *values = arena_alloc(arena, (n ? n : 1) * sizeof *values);
        enum err_code rc;

        if (!values)
                return err_set(reterr, ERR_EXHAUSTED, "TOO_LARGE", "too many parameters");
        for (size_t i = 0; i < n; i++)
                values[i] = value_null();
        rc = bind_args(p, args, n_args, values, reterr);
        if (rc)
                return rc;
        if (p->n_literals)
                memcpy(values + p->n_params, literals, p->n_literals * sizeof *values);
        for (size_t i = 0; i < p->n_slots; i++) {
                const struct plan_slot *s = &p->slots[i];

                switch (s->kind) {
                case SLOT_CONSTANT:
                        values[n_given + i] = s->constant;
                        break;
                case SLOT_COPY:
                        values[n_given + i] = values[s->from];
                        break;
                case SLOT_CONNECTION:
                        values[n_given + i] = value_integer(connection ? connection[s->from] : 0);
                        break;
                case SLOT_EXPRESSION:
                        rc = scratch_eval(s->expr, values, n_given + i, now_ms, arena,
                                          &values[n_given + i], reterr);
                        if (rc)
                                return rc;
                        break;
                }
        }
        *ret_values = (struct plan_values){ .values = values, .n = n };
        return ERR_OK;
}

static size_t value_bytes(const struct value *v)
{
        return v->type == VALUE_TEXT || v->type == VALUE_BLOB ? v->n_bytes : 0;
}

bool plan_binds_quickly(const struct plan *p, const struct plan_arg *args, size_t n_args,
                        const struct value *literals)
{
        size_t n_bytes = 0;

        if (!p->n_expressions)
                return true;
        if (p->costly_expressions || p->n_expressions > MAX_INLINE_EXPRESSIONS)
                return false;
        for (size_t i = 0; i < n_args; i++)
                n_bytes += value_bytes(&args[i].value);
        for (size_t i = 0; i < p->n_literals; i++)
                n_bytes += value_bytes(&literals[i]);
        return n_bytes * p->n_expressions <= MAX_INLINE_BYTES;
}

size_t plan_n_new_rowids(const struct plan *p, const struct plan_values *v)
{
        size_t n_given = p->n_params + p->n_literals;
        size_t n = 0;

        for (size_t i = 0; i < p->n_slots; i++)
                if (p->slots[i].rowid && v->values[n_given + i].type == VALUE_NULL)
                        n++;
        return n;
}

enum err_code plan_route(const struct plan *p, size_t part, const struct plan_values *v,
                         uint64_t *ret_bits, size_t *ret_n_shards, struct err *reterr)
{
        const struct route *r = &p->parts[part].route;
        size_t n = route_resolve(r, catalog_shards(p->catalog), v->values, ret_bits);

        if (n > 1 && !p->read_only)
                return err_set(reterr, ERR_UNIMPLEMENTED, "WRITE_SPANS_SHARDS",
                               "this write touches %zu shards; until transactions are there a "
                               "write must be pinned to one shard "
                               "by an equality with the sharding key of table %s",
                               n, p->table->name);
        *ret_n_shards = n;
        return ERR_OK;
}
