/* query.c - ExecuteStream, its messages decoded by hand so that a result of any size costs little.
 */
#include "cli/query.h"

#include <string.h>

#include "common/wire.h"

/* Field numbers of shoal/v1/api.proto. */
enum {
        RESPONSE_FIELD_RESULT = 1,
        RESPONSE_FIELD_SESSION = 2,
        RESPONSE_FIELD_IN_TRANSACTION = 3,
        RESPONSE_FIELD_STATS = 4,
        RESULT_FIELD_COLUMNS = 1,
        RESULT_FIELD_ROWS = 2,
        RESULT_FIELD_ROWS_AFFECTED = 3,
        COLUMN_FIELD_NAME = 1,
};

/* Owner: query_run(). */
struct reader {
        const struct query_events *events;
        void *arg;
        struct query_result *result;
        char **names; /* gathered until the first row, or the end of the message that has them */
        struct value *values;
        bool told; /* the columns */
};

static enum err_code malformed(struct err *reterr)
{
        return err_set(reterr, ERR_INTERNAL, "BAD_REPLY", "the gate's reply cannot be understood");
}

static enum err_code read_column(struct reader *r, const struct wire_field *f, struct err *reterr)
{
        struct wire_reader in = wire_reader(f->data, f->n_bytes);
        struct query_result *result = r->result;
        struct wire_field column;
        char *name = NULL;

        if (r->told || result->n_columns >= QUERY_MAX_COLUMNS)
                return malformed(reterr);
        while (wire_next(&in, &column)) {
                if (column.number == COLUMN_FIELD_NAME && column.type == WIRE_BYTES) {
                        free(name);
                        name = xstrndup((const char *)column.data, column.n_bytes);
                }
        }
        r->names = xrealloc(r->names, (result->n_columns + 1) * sizeof *r->names);
        r->names[result->n_columns++] = name ? name : xstrdup("");
        return in.failed ? malformed(reterr) : ERR_OK;
}

static void tell_columns(struct reader *r)
{
        if (r->told || r->result->n_columns == 0)
                return;
        r->told = true;
        r->values = xcalloc(r->result->n_columns, sizeof *r->values);
        r->events->columns(r->arg, (const char *const *)r->names, r->result->n_columns);
}

static enum err_code read_row(struct reader *r, const struct wire_field *f, struct err *reterr)
{
        enum err_code rc;

        tell_columns(r);
        if (!r->told)
                return malformed(reterr);
        rc = value_decode_row(f->data, f->n_bytes, r->values, r->result->n_columns, reterr);
        if (rc)
                return rc;
        r->result->n_rows++;
        r->events->row(r->arg, r->values, r->result->n_columns);
        return ERR_OK;
}

static enum err_code read_result(struct reader *r, const struct wire_field *f, struct err *reterr)
{
        struct wire_reader in = wire_reader(f->data, f->n_bytes);
        struct wire_field field;
        enum err_code rc = ERR_OK;

        while (rc == ERR_OK && wire_next(&in, &field)) {
                if (field.number == RESULT_FIELD_COLUMNS && field.type == WIRE_BYTES)
                        rc = read_column(r, &field, reterr);
                else if (field.number == RESULT_FIELD_ROWS && field.type == WIRE_BYTES)
                        rc = read_row(r, &field, reterr);
                else if (field.number == RESULT_FIELD_ROWS_AFFECTED)
                        r->result->rows_affected = (int64_t)field.uint;
        }
        if (rc)
                return rc;
        return in.failed ? malformed(reterr) : ERR_OK;
}

static void read_stats(struct reader *r, const struct wire_field *f)
{
        if (r->result->stats)
                shoal__v1__query_stats__free_unpacked(r->result->stats, NULL);
        r->result->stats = shoal__v1__query_stats__unpack(NULL, f->n_bytes, f->data);
}

static enum err_code read_response(void *arg, const uint8_t *p, size_t n_bytes, struct err *reterr)
{
        struct reader *r = arg;
        struct wire_reader in = wire_reader(p, n_bytes);
        struct wire_field f;
        enum err_code rc = ERR_OK;

        while (rc == ERR_OK && wire_next(&in, &f)) {
                if (f.number == RESPONSE_FIELD_RESULT && f.type == WIRE_BYTES) {
                        rc = read_result(r, &f, reterr);
                } else if (f.number == RESPONSE_FIELD_SESSION && f.type == WIRE_BYTES) {
                        free(r->result->session);
                        r->result->session = xstrndup((const char *)f.data, f.n_bytes);
                } else if (f.number == RESPONSE_FIELD_IN_TRANSACTION) {
                        r->result->in_transaction = f.uint != 0;
                } else if (f.number == RESPONSE_FIELD_STATS && f.type == WIRE_BYTES) {
                        read_stats(r, &f);
                }
        }
        if (rc)
                return rc;
        if (in.failed)
                return malformed(reterr);
        tell_columns(r);
        return ERR_OK;
}

enum err_code query_run(struct remote *gate, const struct query *q, const struct query_events *ev,
                        void *arg, struct query_result *ret_result, struct err *reterr)
{
        struct reader r = { .events = ev, .arg = arg, .result = ret_result };
        Shoal__V1__ExecuteRequest request = SHOAL__V1__EXECUTE_REQUEST__INIT;
        Shoal__V1__ExecuteOptions options = SHOAL__V1__EXECUTE_OPTIONS__INIT;
        cleanup_(freep) char *sql = NULL;
        enum err_code rc;

        *ret_result = (struct query_result){ .session = xstrdup("") };
        if (memchr(q->sql, 0, q->n_bytes))
                return err_set(reterr, ERR_INVALID, "", "the statement has a NUL byte in it");
        sql = xstrndup(q->sql, q->n_bytes);
        options.with_stats = q->with_stats;
        request.keyspace = (char *)q->keyspace;
        request.session = (char *)q->session;
        request.sql = sql;
        request.options = &options;
        rc = remote_stream(gate, "/shoal.v1.Gate/ExecuteStream", &request.base, read_response, &r,
                           reterr);
        query_names_free(r.names, ret_result->n_columns);
        free(r.values);
        return rc;
}

void query_result_done(struct query_result *r)
{
        free(r->session);
        if (r->stats)
                shoal__v1__query_stats__free_unpacked(r->stats, NULL);
}

enum err_code query_describe(struct remote *gate, const char *keyspace, const char *sql,
                             char ***ret_names, size_t *ret_n, struct err *reterr)
{
        Shoal__V1__DescribeRequest request = SHOAL__V1__DESCRIBE_REQUEST__INIT;
        Shoal__V1__DescribeResponse *reply;
        ProtobufCMessage *message = NULL;
        enum err_code rc;

        request.keyspace = (char *)keyspace;
        request.sql = (char *)sql;
        rc = remote_call(gate, "/shoal.v1.Gate/Describe", &request.base,
                         &shoal__v1__describe_response__descriptor, &message, reterr);
        if (rc)
                return rc;
        reply = (Shoal__V1__DescribeResponse *)message;
        *ret_names = xcalloc(reply->n_columns, sizeof **ret_names);
        for (size_t i = 0; i < reply->n_columns; i++)
                (*ret_names)[i] = xstrdup(reply->columns[i]->name);
        *ret_n = reply->n_columns;
        protobuf_c_message_free_unpacked(message, NULL);
        return ERR_OK;
}

void query_names_free(char **names, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(names[i]);
        free(names);
}
