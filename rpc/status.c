/* status.c - struct err to and from google.rpc.Status. Pure; any thread. */
#include "rpc/status.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/status.h>

#include "common/utf8.h"
#include "common/wire.h"

#define SAME(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), "codes are gRPC's")
SAME(ERR_OK, GRPC_STATUS_OK);
SAME(ERR_CANCELLED, GRPC_STATUS_CANCELLED);
SAME(ERR_UNKNOWN, GRPC_STATUS_UNKNOWN);
SAME(ERR_INVALID, GRPC_STATUS_INVALID_ARGUMENT);
SAME(ERR_DEADLINE, GRPC_STATUS_DEADLINE_EXCEEDED);
SAME(ERR_NOT_FOUND, GRPC_STATUS_NOT_FOUND);
SAME(ERR_EXISTS, GRPC_STATUS_ALREADY_EXISTS);
SAME(ERR_DENIED, GRPC_STATUS_PERMISSION_DENIED);
SAME(ERR_EXHAUSTED, GRPC_STATUS_RESOURCE_EXHAUSTED);
SAME(ERR_PRECONDITION, GRPC_STATUS_FAILED_PRECONDITION);
SAME(ERR_ABORTED, GRPC_STATUS_ABORTED);
SAME(ERR_OUT_OF_RANGE, GRPC_STATUS_OUT_OF_RANGE);
SAME(ERR_UNIMPLEMENTED, GRPC_STATUS_UNIMPLEMENTED);
SAME(ERR_INTERNAL, GRPC_STATUS_INTERNAL);
SAME(ERR_UNAVAILABLE, GRPC_STATUS_UNAVAILABLE);
SAME(ERR_DATA_LOSS, GRPC_STATUS_DATA_LOSS);
SAME(ERR_UNAUTHENTICATED, GRPC_STATUS_UNAUTHENTICATED);

#define ERROR_INFO_TYPE "type.googleapis.com/google.rpc.ErrorInfo"
#define DOMAIN "shoal"

/* google.rpc.Status, google.protobuf.Any, google.rpc.ErrorInfo and the entries of its map */
enum { STATUS_CODE = 1, STATUS_MESSAGE = 2, STATUS_DETAILS = 3 };
enum { ANY_TYPE_URL = 1, ANY_VALUE = 2 };
enum { INFO_REASON = 1, INFO_DOMAIN = 2, INFO_METADATA = 3 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };

/* What fits into s bytewise but was cut within a character, or came from a file that holds
 * anything, is not UTF-8; clients refuse the whole message then. */
static void add_clean(struct buf *b, const char *s)
{
        const char *end = s + strlen(s);

        if (utf8_is_valid(s, (size_t)(end - s))) {
                buf_add_str(b, s);
                return;
        }
        while (s < end) {
                size_t n = 1;

                while (n <= 4 && n <= (size_t)(end - s) && !utf8_is_valid(s, n))
                        n++;
                if (n > 4 || n > (size_t)(end - s)) {
                        buf_add_str(b, "\xef\xbf\xbd"); /* U+FFFD */
                        s++;
                } else {
                        buf_add(b, s, n);
                        s += n;
                }
        }
}

static void add_text(struct buf *b, uint32_t field, const char *s)
{
        size_t at = wire_begin(b, field);

        add_clean(b, s);
        wire_end(b, at);
}

static void add_entry(struct buf *b, const char *key, const char *value)
{
        size_t at = wire_begin(b, INFO_METADATA);

        wire_add_str(b, ENTRY_KEY, key);
        add_text(b, ENTRY_VALUE, value);
        wire_end(b, at);
}

static void add_int_entry(struct buf *b, const char *key, int value)
{
        char text[16];

        snprintf(text, sizeof(text), "%d", value);
        add_entry(b, key, text);
}

static void add_info(struct buf *b, const struct err *e)
{
        add_text(b, INFO_REASON, e->reason);
        wire_add_str(b, INFO_DOMAIN, DOMAIN);
        if (e->extended_code) {
                add_int_entry(b, "sqlite_code", e->extended_code & 0xff);
                add_int_entry(b, "extended_code", e->extended_code);
        }
        if (*e->sqlite_msg)
                add_entry(b, "sqlite_message", e->sqlite_msg);
        if (e->offset >= 0)
                add_int_entry(b, "offset", e->offset);
        if (*e->shard)
                add_entry(b, "shard", e->shard);
        if (e->statement_index >= 0)
                add_int_entry(b, "statement_index", e->statement_index);
}

void status_encode(struct buf *b, const struct err *e)
{
        size_t at_any, at_info;

        wire_add_uint(b, STATUS_CODE, (uint64_t)e->code);
        add_text(b, STATUS_MESSAGE, e->msg);
        at_any = wire_begin(b, STATUS_DETAILS);
        wire_add_str(b, ANY_TYPE_URL, ERROR_INFO_TYPE);
        at_info = wire_begin(b, ANY_VALUE);
        add_info(b, e);
        wire_end(b, at_info);
        wire_end(b, at_any);
}

grpc_slice status_message(const struct err *e)
{
        struct buf b = BUF_INIT(0);
        grpc_slice slice;

        if (utf8_is_valid(e->msg, strlen(e->msg)))
                return grpc_slice_from_copied_string(e->msg);
        add_clean(&b, e->msg);
        slice = grpc_slice_from_copied_buffer((const char *)b.data, b.n_bytes);
        buf_done(&b);
        return slice;
}

static bool field_is(const struct wire_field *f, const char *s)
{
        return f->type == WIRE_BYTES && f->n_bytes == strlen(s) && !memcmp(f->data, s, f->n_bytes);
}

static void copy_text(char *to, size_t n_allocated, const struct wire_field *f)
{
        size_t n = f->n_bytes < n_allocated ? f->n_bytes : n_allocated - 1;

        memcpy(to, f->data, n);
        to[n] = '\0';
}

/* fallback where it is not a whole number that fits. */
static int to_int(const struct wire_field *f, int fallback)
{
        char text[16], *end;
        long v;

        if (!f->n_bytes || f->n_bytes >= sizeof(text))
                return fallback;
        copy_text(text, sizeof(text), f);
        v = strtol(text, &end, 10);
        return *end || v < INT_MIN || v > INT_MAX ? fallback : (int)v;
}

static void read_entry(const struct wire_field *entry, struct err *e)
{
        struct wire_reader r = wire_reader(entry->data, entry->n_bytes);
        struct wire_field f, key = { 0 }, value = { 0 };

        while (wire_next(&r, &f)) {
                if (f.type == WIRE_BYTES && f.number == ENTRY_KEY)
                        key = f;
                else if (f.type == WIRE_BYTES && f.number == ENTRY_VALUE)
                        value = f;
        }
        if (r.failed || !key.data || !value.data)
                return;
        if (field_is(&key, "extended_code"))
                e->extended_code = to_int(&value, 0);
        else if (field_is(&key, "sqlite_message"))
                copy_text(e->sqlite_msg, sizeof(e->sqlite_msg), &value);
        else if (field_is(&key, "offset"))
                e->offset = to_int(&value, -1);
        else if (field_is(&key, "shard"))
                copy_text(e->shard, sizeof(e->shard), &value);
        else if (field_is(&key, "statement_index"))
                e->statement_index = to_int(&value, -1);
}

static void read_info(const struct wire_field *info, struct err *e)
{
        struct wire_reader r = wire_reader(info->data, info->n_bytes);
        struct wire_field f;

        while (wire_next(&r, &f)) {
                if (f.type != WIRE_BYTES)
                        continue;
                if (f.number == INFO_REASON)
                        copy_text(e->reason, sizeof(e->reason), &f);
                else if (f.number == INFO_METADATA)
                        read_entry(&f, e);
        }
}

static void read_any(const struct wire_field *any, struct err *e)
{
        struct wire_reader r = wire_reader(any->data, any->n_bytes);
        struct wire_field f, value = { 0 };
        bool is_info = false;

        while (wire_next(&r, &f)) {
                if (f.number == ANY_TYPE_URL)
                        is_info = field_is(&f, ERROR_INFO_TYPE);
                else if (f.number == ANY_VALUE && f.type == WIRE_BYTES)
                        value = f;
        }
        if (is_info && value.data && !r.failed)
                read_info(&value, e);
}

void status_decode(const uint8_t *details, size_t n_bytes, enum err_code code, const char *msg,
                   struct err *ret_err)
{
        struct wire_reader r = wire_reader(n_bytes ? details : (const uint8_t *)"", n_bytes);
        struct wire_field f;

        err_set(ret_err, code, "", "%s", msg);
        if (code > ERR_UNAUTHENTICATED)
                ret_err->code = ERR_UNKNOWN;
        while (wire_next(&r, &f))
                if (f.number == STATUS_DETAILS && f.type == WIRE_BYTES)
                        read_any(&f, ret_err);
}
