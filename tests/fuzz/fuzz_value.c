/* fuzz_value.c - bytes taken for a value, a row, a message of any kind, and text. What was read
 * must be writable again, and then read as the same. */
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "common/value.h"
#include "common/wire.h"
#include "tests/fuzz/fuzz.h"

enum { N_VALUES = 3 };

static void check(bool ok)
{
        if (!ok)
                abort();
}

static void check_value(const struct value *v)
{
        size_t n = value_encoded_size(v);
        uint8_t *p = xmalloc(n);
        struct value back;

        check(value_encode(p, v) == p + n);
        check(value_decode(p, n, &back, NULL) == ERR_OK);
        check(value_same(v, &back));
        free(p);
}

static void check_row(const uint8_t *data, size_t n_bytes)
{
        struct value values[N_VALUES], back[N_VALUES];
        struct buf b = BUF_INIT(0);

        if (value_decode_row(data, n_bytes, values, N_VALUES, NULL))
                return;
        for (size_t i = 0; i < N_VALUES; i++)
                value_add(&b, 1, &values[i]);
        check(value_decode_row(b.data, b.n_bytes, back, N_VALUES, NULL) == ERR_OK);
        for (size_t i = 0; i < N_VALUES; i++)
                check(value_same(&values[i], &back[i]));
        buf_done(&b);
}

/* Every field lies within the message; sub-messages are looked into. */
static void check_fields(const uint8_t *data, size_t n_bytes, unsigned depth)
{
        struct wire_reader r = wire_reader(data, n_bytes);
        struct wire_field f;

        while (wire_next(&r, &f)) {
                if (f.type != WIRE_BYTES)
                        continue;
                check(f.data >= data && f.n_bytes <= (size_t)(data + n_bytes - f.data));
                if (depth)
                        check_fields(f.data, f.n_bytes, depth - 1);
        }
        check(r.failed || r.p == r.end);
}

static void check_text(const uint8_t *data, size_t n_bytes)
{
        char *s = xmalloc(n_bytes + 1);
        bool valid = utf8_is_valid(data, n_bytes);

        check(!utf8_is_plain(data, n_bytes) || valid);
        memcpy(s, data, n_bytes);
        s[n_bytes] = '\0';
        utf8_repair(s);
        check(utf8_is_plain(s, strlen(s)));
        check(!utf8_is_plain(data, n_bytes) ||
              (strlen(s) == n_bytes && (!n_bytes || !memcmp(s, data, n_bytes))));
        free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
        struct value v;

        if (value_decode(data, n_bytes, &v, NULL) == ERR_OK)
                check_value(&v);
        check_row(data, n_bytes);
        check_fields(data, n_bytes, 8);
        check_text(data, n_bytes);
        /* a byte is a field at most, and fields need two */
        check(wire_check_limits(data, n_bytes, 1 + (unsigned)n_bytes, n_bytes * (n_bytes + 1)));
        return 0;
}
