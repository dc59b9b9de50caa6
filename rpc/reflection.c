/* reflection.c - grpc.reflection.v1 and v1alpha, which are one wire format under two names. Each
 * request of the stream gets one response, in order. Loop thread. */
#include <string.h>

#include "common/buf.h"
#include "common/utf8.h"
#include "common/util.h"
#include "common/wire.h"
#include "rpc/built_in_int.h"
#include "rpc/descriptor_index.h"

/* Field numbers of grpc/reflection/v1/reflection.proto. */
enum {
        REQUEST_HOST = 1,
        REQUEST_FILE_BY_FILENAME = 3,
        REQUEST_FILE_CONTAINING_SYMBOL = 4,
        REQUEST_FILE_CONTAINING_EXTENSION = 5,
        REQUEST_ALL_EXTENSION_NUMBERS = 6,
        REQUEST_LIST_SERVICES = 7,
};
enum {
        RESPONSE_HOST = 1,
        RESPONSE_REQUEST = 2,
        RESPONSE_FILES = 4,
        RESPONSE_EXTENSION_NUMBERS = 5,
        RESPONSE_SERVICES = 6,
        RESPONSE_ERROR = 7,
};
enum { FILES_FILE = 1 };
enum { EXTENSION_NUMBERS_TYPE = 1 };
enum { SERVICES_SERVICE = 1, SERVICE_NAME = 1 };
enum { ERROR_CODE = 1, ERROR_MESSAGE = 2 };

/* A request is sent back in its response; nothing asked in earnest is longer. */
enum { MAX_REQUEST_BYTES = 4096 };

/* Immutable once made. */
struct reflection {
        struct descriptor_index *index;
        char **services; /* that have methods on this server */
        size_t n_services;
};

static void add_error(struct buf *b, enum err_code code, const char *message)
{
        size_t at = wire_begin(b, RESPONSE_ERROR);

        wire_add_uint(b, ERROR_CODE, (uint64_t)code);
        wire_add_str(b, ERROR_MESSAGE, message);
        wire_end(b, at);
}

static void add_files(const struct reflection *r, struct buf *b, int file)
{
        cleanup_(freep) struct descriptor_file *files = NULL;
        size_t at, n;

        if (file < 0) {
                add_error(b, ERR_NOT_FOUND, "not known to this server");
                return;
        }
        files = xcalloc(descriptor_index_count(r->index), sizeof(*files));
        n = descriptor_index_closure(r->index, file, files);
        at = wire_begin(b, RESPONSE_FILES);
        /* The file asked for comes first, what it imports behind it. */
        while (n--)
                wire_add_bytes(b, FILES_FILE, files[n].data, files[n].n_bytes);
        wire_end(b, at);
}

static void add_services(const struct reflection *r, struct buf *b)
{
        size_t at = wire_begin(b, RESPONSE_SERVICES);

        for (size_t i = 0; i < r->n_services; i++) {
                size_t at_service = wire_begin(b, SERVICES_SERVICE);

                wire_add_str(b, SERVICE_NAME, r->services[i]);
                wire_end(b, at_service);
        }
        wire_end(b, at);
}

/* proto3 has no extensions, so the list is empty for every type there is. */
static void add_extension_numbers(const struct reflection *r, struct buf *b, const char *type)
{
        size_t at;

        if (descriptor_index_find_symbol(r->index, type) < 0) {
                add_error(b, ERR_NOT_FOUND, "not known to this server");
                return;
        }
        at = wire_begin(b, RESPONSE_EXTENSION_NUMBERS);
        wire_add_str(b, EXTENSION_NUMBERS_TYPE, type);
        wire_end(b, at);
}

static void add_answer(const struct reflection *r, struct buf *b, const struct wire_field *asked)
{
        cleanup_(freep) char *text = NULL;

        if (asked->type == WIRE_BYTES && asked->number != REQUEST_FILE_CONTAINING_EXTENSION)
                text = xstrndup((const char *)asked->data, asked->n_bytes);
        if (asked->number == REQUEST_FILE_BY_FILENAME && text)
                add_files(r, b, descriptor_index_find_file(r->index, text));
        else if (asked->number == REQUEST_FILE_CONTAINING_SYMBOL && text)
                add_files(r, b, descriptor_index_find_symbol(r->index, text));
        else if (asked->number == REQUEST_ALL_EXTENSION_NUMBERS && text)
                add_extension_numbers(r, b, text);
        else if (asked->number == REQUEST_LIST_SERVICES)
                add_services(r, b);
        else if (asked->number == REQUEST_FILE_CONTAINING_EXTENSION)
                add_error(b, ERR_NOT_FOUND, "not known to this server");
        else
                add_error(b, ERR_INVALID, "the request asks for nothing known here");
}

/* False: not a request. */
static bool answer(const struct reflection *r, struct buf *b, const uint8_t *p, size_t n_bytes)
{
        struct wire_reader reader = wire_reader(p, n_bytes);
        struct wire_field f, asked = { 0 };

        if (n_bytes > MAX_REQUEST_BYTES)
                return false;
        while (wire_next(&reader, &f)) {
                if (f.type == WIRE_BYTES && f.number != REQUEST_FILE_CONTAINING_EXTENSION &&
                    !utf8_is_plain(f.data, f.n_bytes))
                        return false;
                if (f.number == REQUEST_HOST && f.type == WIRE_BYTES)
                        wire_add_bytes(b, RESPONSE_HOST, f.data, f.n_bytes);
                else if (f.number >= REQUEST_FILE_BY_FILENAME && f.number <= REQUEST_LIST_SERVICES)
                        asked = f;
        }
        if (reader.failed)
                return false;
        wire_add_bytes(b, RESPONSE_REQUEST, p, n_bytes);
        add_answer(r, b, &asked);
        return true;
}

static void on_read(struct rpc_call *c, bool ok);

static void fail(struct rpc_call *c)
{
        struct err e;

        err_set(&e, ERR_UNAVAILABLE, "SHUTTING_DOWN", "the server is shutting down");
        rpc_call_fail(c, &e);
}

static void on_written(struct rpc_call *c, bool ok)
{
        if (ok)
                rpc_call_read(c, on_read);
        else
                fail(c);
}

static void on_read(struct rpc_call *c, bool ok)
{
        const struct reflection *r = rpc_call_data(c);
        struct buf b = BUF_INIT(0);
        size_t n_bytes;
        const uint8_t *p;
        struct err e;

        if (!ok) {
                rpc_call_end(c);
                return;
        }
        p = rpc_call_request(c, &n_bytes);
        if (answer(r, &b, p, n_bytes)) {
                rpc_call_write(c, rpc_from_buf(&b), on_written);
                return;
        }
        buf_done(&b);
        err_set(&e, ERR_INVALID, "BAD_REQUEST", "malformed ServerReflectionRequest");
        rpc_call_fail(c, &e);
}

static void reflect(struct rpc_call *c, void *arg)
{
        rpc_call_set_data(c, arg);
        rpc_call_read(c, on_read);
}

static void end_on_drain(struct rpc_call *c, void *arg)
{
        (void)arg;
        fail(c);
}

/* The service of "/package.Service/Method". */
static void add_service(struct reflection *r, const char *path)
{
        const char *name = path + 1;
        size_t n = strcspn(name, "/");

        for (size_t i = 0; i < r->n_services; i++)
                if (!strncmp(r->services[i], name, n) && !r->services[i][n])
                        return;
        r->services = xrealloc(r->services, (r->n_services + 1) * sizeof(*r->services));
        r->services[r->n_services++] = xstrndup(name, n);
}

struct reflection *reflection_new(const struct rpc_server_options *o, struct rpc_method *methods)
{
        static const char *const paths[REFLECTION_METHODS] = {
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        };
        struct reflection *r = xcalloc(1, sizeof(*r));

        r->index = descriptor_index_new(o->descriptors, o->n_descriptor_bytes);
        for (size_t i = 0; i < o->n_methods; i++)
                add_service(r, o->methods[i].path);
        add_service(r, "/grpc.health.v1.Health/");
        for (size_t i = 0; i < REFLECTION_METHODS; i++) {
                add_service(r, paths[i]);
                methods[i] = (struct rpc_method){
                        .path = paths[i],
                        .stream_in = true,
                        .on_start = reflect,
                        .arg = r,
                        .on_drain = end_on_drain,
                };
        }
        return r;
}

struct reflection *reflection_free(struct reflection *r)
{
        if (!r)
                return NULL;
        r->index = descriptor_index_free(r->index);
        for (size_t i = 0; i < r->n_services; i++)
                free(r->services[i]);
        free(r->services);
        free(r);
        return NULL;
}
