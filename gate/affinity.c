/* affinity.c - conversions before hashing. Any thread. */
#include "gate/affinity.h"

#include <sqlite3.h>
#include <string.h>

#include "gate/scratch.h"

/* Short texts of digits alone need no SQLite. */
static bool parse_digits(const struct value *v, int64_t *ret)
{
        const char *s = v->data;
        int64_t i = 0;

        if (v->n_bytes == 0 || v->n_bytes > 18)
                return false;
        for (size_t k = 0; k < v->n_bytes; k++) {
                if (s[k] < '0' || s[k] > '9')
                        return false;
                i = i * 10 + (s[k] - '0');
        }
        *ret = i;
        return true;
}

static struct value text_to_number(const struct value *v)
{
        int64_t i;

        return parse_digits(v, &i) ? value_integer(i) : scratch_to_number(v);
}

static struct value number_to_text(const struct value *v, char *scratch)
{
        if (v->type == VALUE_INTEGER)
                sqlite3_snprintf(AFFINITY_SCRATCH_BYTES, scratch, "%lld", (long long)v->integer);
        else
                sqlite3_snprintf(AFFINITY_SCRATCH_BYTES, scratch, "%!.15g", v->real);
        return value_text(scratch, strlen(scratch));
}

/* SQLite compares integers and reals by value, so one that is both must look the same. */
static struct value canonical_number(struct value v)
{
        if (v.type == VALUE_REAL && v.real >= -9223372036854775808.0 &&
            v.real < 9223372036854775808.0 && (double)(int64_t)v.real == v.real)
                return value_integer((int64_t)v.real);
        return v;
}

struct value affinity_apply(enum affinity affinity, const struct value *v,
                            char scratch[AFFINITY_SCRATCH_BYTES])
{
        struct value r = *v;

        if (affinity == AFFINITY_TEXT && (v->type == VALUE_INTEGER || v->type == VALUE_REAL))
                r = number_to_text(v, scratch);
        else if (affinity != AFFINITY_TEXT && affinity != AFFINITY_BLOB && v->type == VALUE_TEXT)
                r = text_to_number(v);
        /* Of an integer beyond 2^53 a real keeps only the first digits. */
        if (affinity == AFFINITY_REAL && r.type == VALUE_INTEGER)
                r = value_real((double)r.integer);
        return canonical_number(r);
}
