/* request.c - ExecuteRequest, ExecuteBatchRequest and Statement from the wire. Field numbers:
 * proto/shoal/v1/api.proto. */
#include "gate/request.h"

#include <string.h>

#include "common/utf8.h"
#include "common/wire.h"
#include "proto/shoal/v1/api.pb-c.h"

/* Where a message has the fields that an ExecuteRequest and a Statement share. */
struct layout {
        uint32_t sql, params, named_params;
};

static const struct layout execute_layout = { .sql = 2, .params = 3, .named_params = 4 };
static const struct layout statement_layout = { .sql = 1, .params = 2, .named_params = 3 };

static enum err_code fail_malformed(struct err *reterr)
{
        return err_set(reterr, ERR_INVALID, "BAD_REQUEST", "the request is not valid protobuf");
}

static enum err_code fail_memory(struct err *reterr)
{
        return err_set(reterr, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                       "the statement has too many parameters");
}

static enum err_code check_text(const struct wire_field *f, const char *what, struct err *reterr)
{
        if (utf8_is_plain(f->data, f->n_bytes))
                return ERR_OK;
        return err_set(reterr, ERR_INVALID, "BAD_REQUEST", "%s is not valid UTF-8 or holds a NUL",
                       what);
}

/* An entry of the map: key 1, value 2. */
static enum err_code decode_named(const struct wire_field *entry, struct arena *arena,
                                  struct plan_arg *ret_arg, struct err *reterr)
{
        struct wire_reader r = wire_reader(entry->data, entry->n_bytes);
        struct plan_arg arg = { .name = "", .value = value_null() };
        enum err_code rc = ERR_OK;
        struct wire_field f;

        while (!rc && wire_next(&r, &f)) {
                if (f.type != WIRE_BYTES)
                        continue;
                if (f.number == 1) {
                        rc = check_text(&f, "a parameter's name", reterr);
                        if (!rc)
                                arg.name = arena_strndup(arena, (const char *)f.data, f.n_bytes);
                } else if (f.number == 2) {
                        rc = value_decode(f.data, f.n_bytes, &arg.value, reterr);
                }
        }
        if (!rc && r.failed)
                rc = fail_malformed(reterr);
        if (!rc && !arg.name)
                rc = fail_memory(reterr);
        *ret_arg = arg;
        return rc;
}

/* Counts what is to be decoded, for one array of the right size. */
static bool count_args(const uint8_t *message, size_t n_bytes, const struct layout *l,
                       size_t *ret_n)
{
        struct wire_reader r = wire_reader(message, n_bytes);
        struct wire_field f;
        size_t n = 0;

        while (wire_next(&r, &f))
                n += f.type == WIRE_BYTES && (f.number == l->params || f.number == l->named_params);
        *ret_n = n;
        return !r.failed;
}

static enum err_code decode_args(const uint8_t *message, size_t n_bytes, const struct layout *l,
                                 struct arena *arena, struct execute_request *request,
                                 struct err *reterr)
{
        struct wire_reader r = wire_reader(message, n_bytes);
        enum err_code rc = ERR_OK;
        struct plan_arg *args;
        struct wire_field f;
        size_t n, i = 0;

        if (!count_args(message, n_bytes, l, &n))
                return fail_malformed(reterr);
        if (!n)
                return ERR_OK;
        args = arena_calloc(arena, n, sizeof(*args));
        if (!args)
                return fail_memory(reterr);
        while (!rc && wire_next(&r, &f)) {
                if (f.type != WIRE_BYTES)
                        continue;
                if (f.number == l->params) {
                        rc = value_decode(f.data, f.n_bytes, &args[i].value, reterr);
                        i++;
                } else if (f.number == l->named_params) {
                        rc = decode_named(&f, arena, &args[i++], reterr);
                }
                if (rc)
                        return err_wrap(reterr, rc, "parameter %zu", i);
        }
        request->args = args;
        request->n_args = n;
        return ERR_OK;
}

static enum err_code take_sql(const struct wire_field *f, const struct request_limits *limits,
                              struct execute_request *request, struct err *reterr)
{
        if (f->n_bytes > limits->max_statement_bytes)
                return err_set(reterr, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                               "the statement has %zu bytes, the limit is %llu", f->n_bytes,
                               (unsigned long long)limits->max_statement_bytes);
        request->sql = (const char *)f->data;
        request->n_sql_bytes = f->n_bytes;
        return check_text(f, "the statement", reterr);
}

static enum err_code decode_options(const struct wire_field *options,
                                    struct execute_request *request, struct err *reterr)
{
        struct wire_reader r = wire_reader(options->data, options->n_bytes);
        uint64_t isolation = 0;
        struct wire_field f;

        while (wire_next(&r, &f)) {
                if (f.type != WIRE_VARINT)
                        continue;
                if (f.number == 1)
                        request->max_rows = f.uint;
                else if (f.number == 2)
                        request->with_stats = f.uint;
                else if (f.number == 3)
                        request->read_only = f.uint;
                else if (f.number == 4)
                        isolation = f.uint;
        }
        if (r.failed)
                return fail_malformed(reterr);
        if (isolation > SHOAL__V1__ISOLATION__ISOLATION_SERIALIZABLE)
                return err_set(reterr, ERR_UNIMPLEMENTED, "ISOLATION",
                               "there is no such isolation level");
        /* What a statement reads is one moment, so that it is serializable by itself. */
        request->isolation = request_isolation(isolation);
        return ERR_OK;
}

enum coordinator_isolation request_isolation(uint64_t isolation)
{
        switch (isolation) {
        case SHOAL__V1__ISOLATION__ISOLATION_READ_UNCOMMITTED:
        case SHOAL__V1__ISOLATION__ISOLATION_READ_COMMITTED:
                return COORDINATOR_READ_COMMITTED;
        case SHOAL__V1__ISOLATION__ISOLATION_SERIALIZABLE:
                return COORDINATOR_SERIALIZABLE;
        default:
                return COORDINATOR_SNAPSHOT;
        }
}

enum err_code request_decode_execute(const uint8_t *message, size_t n_bytes,
                                     const struct request_limits *limits, struct arena *arena,
                                     struct execute_request *ret_request, struct err *reterr)
{
        struct wire_reader r = wire_reader(message, n_bytes);
        struct execute_request q = { .sql = "", .isolation = COORDINATOR_SNAPSHOT };
        enum err_code rc = ERR_OK;
        struct wire_field f;

        while (!rc && wire_next(&r, &f)) {
                if (f.type != WIRE_BYTES)
                        continue;
                switch (f.number) {
                case 1:
                        q.keyspace = (const char *)f.data;
                        q.n_keyspace_bytes = f.n_bytes;
                        rc = check_text(&f, "the keyspace's name", reterr);
                        break;
                case 2:
                        rc = take_sql(&f, limits, &q, reterr);
                        break;
                case 5:
                        q.session = (const char *)f.data;
                        q.n_session_bytes = f.n_bytes;
                        break;
                case 6:
                        q.request_id = (const char *)f.data;
                        q.n_request_id_bytes = f.n_bytes;
                        rc = check_text(&f, "request_id", reterr);
                        break;
                case 7:
                        rc = decode_options(&f, &q, reterr);
                        break;
                default:
                        break;
                }
        }
        if (!rc && r.failed)
                rc = fail_malformed(reterr);
        if (!rc)
                rc = decode_args(message, n_bytes, &execute_layout, arena, &q, reterr);
        if (!rc)
                *ret_request = q;
        return rc;
}

/* ---- batches */

static enum err_code decode_batch_field(const struct wire_field *f, struct request_batch *b,
                                        struct err *reterr)
{
        struct execute_request *q = &b->common;

        if (f->type == WIRE_VARINT && f->number == 4 && f->uint)
                return err_set(reterr, ERR_UNIMPLEMENTED, "TRANSACTIONS",
                               "atomic batches are not implemented yet");
        if (f->type != WIRE_BYTES)
                return ERR_OK;
        switch (f->number) {
        case 1:
                q->keyspace = (const char *)f->data;
                q->n_keyspace_bytes = f->n_bytes;
                return check_text(f, "the keyspace's name", reterr);
        case 2:
                b->statements[b->n_statements++] =
                    (struct request_statement){ f->data, f->n_bytes };
                return ERR_OK;
        case 3:
                q->session = (const char *)f->data;
                q->n_session_bytes = f->n_bytes;
                return ERR_OK;
        case 5:
                q->request_id = (const char *)f->data;
                q->n_request_id_bytes = f->n_bytes;
                return check_text(f, "request_id", reterr);
        case 6:
                return decode_options(f, q, reterr);
        default:
                return ERR_OK;
        }
}

enum err_code request_decode_batch(const uint8_t *message, size_t n_bytes,
                                   const struct request_limits *limits, struct arena *arena,
                                   struct request_batch *ret_batch, struct err *reterr)
{
        struct wire_reader counter = wire_reader(message, n_bytes);
        struct wire_reader r = counter;
        struct request_batch b = { .common.isolation = COORDINATOR_SNAPSHOT };
        enum err_code rc = ERR_OK;
        struct wire_field f;
        size_t n = 0;

        while (wire_next(&counter, &f))
                n += f.number == 2 && f.type == WIRE_BYTES;
        if (counter.failed)
                return fail_malformed(reterr);
        if (n > limits->max_batch_statements)
                return err_set(reterr, ERR_EXHAUSTED, "BATCH_TOO_LARGE",
                               "the batch has %zu statements, the limit is %llu", n,
                               (unsigned long long)limits->max_batch_statements);
        b.statements = arena_calloc(arena, n + 1, sizeof(*b.statements));
        if (!b.statements)
                return fail_memory(reterr);
        while (!rc && wire_next(&r, &f))
                rc = decode_batch_field(&f, &b, reterr);
        if (!rc)
                *ret_batch = b;
        return rc;
}

enum err_code request_decode_statement(const struct request_statement *s,
                                       const struct request_limits *limits, struct arena *arena,
                                       struct execute_request *request, struct err *reterr)
{
        struct wire_reader r = wire_reader(s->data, s->n_bytes);
        enum err_code rc = ERR_OK;
        struct wire_field f;

        request->sql = "";
        request->n_sql_bytes = 0;
        request->args = NULL;
        request->n_args = 0;
        while (!rc && wire_next(&r, &f)) {
                if (f.type == WIRE_BYTES && f.number == statement_layout.sql)
                        rc = take_sql(&f, limits, request, reterr);
        }
        if (!rc && r.failed)
                rc = fail_malformed(reterr);
        if (!rc)
                rc = decode_args(s->data, s->n_bytes, &statement_layout, arena, request, reterr);
        return rc;
}
