/* unpack.c - a request's bytes as a protobuf-c message, once they are known to be harmless.
 * protobuf-c recurses without a limit, allocates a hundred times the size of an empty sub-message,
 * takes any bytes for a string, and cuts it at a NUL; so the bytes are walked along the descriptor
 * first. */
#include <protobuf-c/protobuf-c.h>

#include "common/utf8.h"
#include "common/wire.h"
#include "rpc/server_int.h"

/* What is left of the limits, and how to say what is wrong. */
struct walk {
        uint64_t n_fields_left;
        unsigned max_depth;
        uint64_t max_fields;
        struct err *reterr;
};

static enum err_code refuse(struct walk *w, const ProtobufCMessageDescriptor *d, const char *what)
{
        return err_set(w->reterr, ERR_INVALID, "BAD_REQUEST", "malformed %s: %s", d->name, what);
}

static enum err_code walk_message(struct walk *w, const ProtobufCMessageDescriptor *d,
                                  struct wire_reader r, unsigned depth);

static enum err_code walk_bytes(struct walk *w, const ProtobufCMessageDescriptor *d,
                                const ProtobufCFieldDescriptor *fd, const struct wire_field *f,
                                unsigned depth)
{
        if (fd->type == PROTOBUF_C_TYPE_MESSAGE)
                return walk_message(w, fd->descriptor, wire_reader(f->data, f->n_bytes), depth + 1);
        if (fd->type == PROTOBUF_C_TYPE_STRING && !utf8_is_plain(f->data, f->n_bytes))
                return err_set(w->reterr, ERR_INVALID, "BAD_REQUEST",
                               "%s.%s is not valid UTF-8 or holds a NUL", d->name, fd->name);
        return ERR_OK;
}

static enum err_code walk_message(struct walk *w, const ProtobufCMessageDescriptor *d,
                                  struct wire_reader r, unsigned depth)
{
        struct wire_field f;
        enum err_code rc;

        if (depth > w->max_depth)
                return err_set(w->reterr, ERR_INVALID, "BAD_REQUEST",
                               "malformed %s: messages nest more than %u deep", d->name,
                               w->max_depth);
        while (wire_next(&r, &f)) {
                const ProtobufCFieldDescriptor *fd;

                if (!w->n_fields_left--)
                        return err_set(w->reterr, ERR_INVALID, "BAD_REQUEST",
                                       "the request holds more than %llu fields",
                                       (unsigned long long)w->max_fields);
                if (f.type != WIRE_BYTES)
                        continue;
                fd = protobuf_c_message_descriptor_get_field(d, f.number);
                if (!fd)
                        continue;
                rc = walk_bytes(w, d, fd, &f, depth);
                if (rc)
                        return rc;
        }
        return r.failed ? refuse(w, d, "not protobuf") : ERR_OK;
}

enum err_code rpc_call_unpack(struct rpc_call *c, const ProtobufCMessageDescriptor *d,
                              ProtobufCMessage **ret_message, struct err *reterr)
{
        size_t n_bytes;
        const uint8_t *p = rpc_call_request(c, &n_bytes);
        struct walk w = {
                .n_fields_left = c->server->max_request_fields,
                .max_fields = c->server->max_request_fields,
                .max_depth = c->server->max_request_depth,
                .reterr = reterr,
        };
        ProtobufCMessage *m;
        enum err_code rc;

        rc = walk_message(&w, d, wire_reader(p, n_bytes), 0);
        if (rc)
                return rc;
        m = protobuf_c_message_unpack(d, NULL, n_bytes, p);
        if (!m)
                return refuse(&w, d, "a field has another type");
        *ret_message = m;
        return ERR_OK;
}
