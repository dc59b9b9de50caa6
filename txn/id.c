/* id.c - names of transactions. */
#include "txn/id.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void txn_id_print(const struct txn_id *id, char ret_text[TXN_ID_BYTES])
{
        snprintf(ret_text, TXN_ID_BYTES, "%" PRIx64 "-%" PRIx64 "-%" PRIx64, id->epoch, id->start,
                 id->counter);
}

static int digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Up to the separator, which is passed, or to the end. */
static bool parse_number(const char **p, const char *end, char separator, uint64_t *ret_number)
{
        const char *begin = *p;

        *ret_number = 0;
        while (*p < end && digit(**p) >= 0 && *p - begin < 16)
                *ret_number = *ret_number << 4 | (uint64_t)digit(*(*p)++);
        if (*p == begin || (*begin == '0' && *p - begin > 1))
                return false;
        if (!separator)
                return *p == end;
        return *p < end && *(*p)++ == separator;
}

bool txn_id_parse(const char *text, size_t n_bytes, struct txn_id *ret_id)
{
        const char *end = text + n_bytes;

        return parse_number(&text, end, '-', &ret_id->epoch) &&
               parse_number(&text, end, '-', &ret_id->start) &&
               parse_number(&text, end, '\0', &ret_id->counter);
}

bool txn_is_older(const struct txn_age *a, const struct txn_age *b)
{
        if (a->first_start != b->first_start)
                return a->first_start < b->first_start;
        if (a->id.start != b->id.start)
                return a->id.start < b->id.start;
        if (a->id.epoch != b->id.epoch)
                return a->id.epoch < b->id.epoch;
        return a->id.counter < b->id.counter;
}
