/* key_range.c - ranges of keyspace ids and their names. Pure functions; any thread. */
#include "common/key_range.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { MAX_BOUND_BYTES = 8 };

/* The i-th of n - 1 inner bounds; 0 for the outer two. */
static uint64_t bound_of_n(uint32_t i, uint32_t n)
{
        unsigned n_bytes = 1;

        if (i == 0 || i == n)
                return 0;
        while (n > UINT64_C(1) << 8 * n_bytes)
                n_bytes++;
        return (((uint64_t)i << 8 * n_bytes) / n) << (64 - 8 * n_bytes);
}

struct key_range key_range_of_n(uint32_t i, uint32_t n)
{
        assert(i < n);
        return (struct key_range){ .start = bound_of_n(i, n), .end = bound_of_n(i + 1, n) };
}

static unsigned significant_bytes(uint64_t bound)
{
        return bound ? 8 - (unsigned)__builtin_ctzll(bound) / 8 : 0;
}

static char *put_bound(char *s, uint64_t bound, unsigned n_bytes)
{
        static const char hex[] = "0123456789abcdef";

        if (bound == 0)
                return s;
        for (unsigned i = 0; i < 2 * n_bytes; i++)
                *s++ = hex[bound >> (60 - 4 * i) & 15];
        return s;
}

/* Both bounds have as many digits as the longer one needs, as in Vitess: "7f80-8000". */
void key_range_name(const struct key_range *r, char ret_name[KEY_RANGE_NAME_BYTES])
{
        unsigned n_start = significant_bytes(r->start), n_end = significant_bytes(r->end);
        unsigned n_bytes = n_start > n_end ? n_start : n_end;
        char *s = put_bound(ret_name, r->start, n_bytes);

        *s++ = '-';
        s = put_bound(s, r->end, n_bytes);
        *s = '\0';
}

/* -1: no lower-case hexadecimal digit. */
static int digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return -1;
}

static bool parse_bound(const char *s, size_t n, uint64_t *ret_bound)
{
        uint64_t bound = 0;

        if (n % 2 || n > 2 * MAX_BOUND_BYTES)
                return false;
        for (size_t i = 0; i < n; i++) {
                int d = digit(s[i]);

                if (d < 0)
                        return false;
                bound |= (uint64_t)d << (60 - 4 * i);
        }
        *ret_bound = bound;
        return true;
}

enum err_code key_range_parse(const char *name, struct key_range *ret_range, struct err *reterr)
{
        const char *dash = strchr(name, '-');
        struct key_range r;

        if (!dash || !parse_bound(name, (size_t)(dash - name), &r.start) ||
            !parse_bound(dash + 1, strlen(dash + 1), &r.end))
                return err_set(reterr, ERR_INVALID, "BAD_KEY_RANGE",
                               "\"%.40s\" is no key range such as \"-80\", \"80-c0\" or \"-\"",
                               name);
        if (dash[1] ? r.end <= r.start : r.end != 0)
                return err_set(reterr, ERR_INVALID, "BAD_KEY_RANGE", "key range \"%.40s\" is empty",
                               name);
        *ret_range = r;
        return ERR_OK;
}
