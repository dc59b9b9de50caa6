/* descriptor_index.c - the few fields of descriptor.proto that reflection needs, read by hand.
 * Pure; any thread. */
#include "rpc/descriptor_index.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "common/wire.h"

/* Field numbers of google/protobuf/descriptor.proto. */
enum { SET_FILE = 1 };
enum {
        FILE_NAME = 1,
        FILE_PACKAGE = 2,
        FILE_IMPORT = 3,
        FILE_MESSAGE = 4,
        FILE_ENUM = 5,
        FILE_SERVICE = 6,
        FILE_EXTENSION = 7
};
enum { ANY_NAME = 1 };
enum {
        MESSAGE_FIELD = 2,
        MESSAGE_MESSAGE = 3,
        MESSAGE_ENUM = 4,
        MESSAGE_EXTENSION = 6,
        MESSAGE_ONEOF = 8
};
enum { ENUM_VALUE = 2 };
enum { SERVICE_METHOD = 2 };

struct file {
        struct descriptor_file bytes;
        char *name;
        int *imports;
        size_t n_imports;
};

struct symbol {
        char *name;
        int file;
};

/* Immutable once made. */
struct descriptor_index {
        struct file *files;
        size_t n_files;
        struct symbol *symbols; /* by name */
        size_t n_symbols;
};

static char *take_text(const struct wire_field *f)
{
        return xstrndup((const char *)f->data, f->n_bytes);
}

/* A copy of the last string field of that number; "" if there is none. */
static char *text_field(struct wire_reader r, uint32_t number)
{
        struct wire_field f, found = { .data = (const uint8_t *)"" };

        while (wire_next(&r, &f))
                if (f.number == number)
                        found = f;
        assert(!r.failed);
        return take_text(&found);
}

static char *join(const char *scope, const char *name)
{
        return *scope ? xasprintf("%s.%s", scope, name) : xstrdup(name);
}

/* Takes name. */
static void add_symbol(struct descriptor_index *x, char *name, int file)
{
        if (!(x->n_symbols & (x->n_symbols - 1)))
                x->symbols = xrealloc(x->symbols,
                                      (x->n_symbols ? 2 * x->n_symbols : 1) * sizeof(*x->symbols));
        x->symbols[x->n_symbols++] = (struct symbol){ .name = name, .file = file };
}

/* What a descriptor holds that has a name of its own, and of which kind that is. */
enum kind { KIND_LEAF = 0, KIND_FILE, KIND_MESSAGE, KIND_ENUM, KIND_SERVICE };

static enum kind kind_of(enum kind parent, uint32_t number, bool *ret_named)
{
        *ret_named = true;
        switch (parent) {
        case KIND_FILE:
                if (number == FILE_MESSAGE)
                        return KIND_MESSAGE;
                if (number == FILE_ENUM)
                        return KIND_ENUM;
                if (number == FILE_SERVICE)
                        return KIND_SERVICE;
                *ret_named = number == FILE_EXTENSION;
                return KIND_LEAF;
        case KIND_MESSAGE:
                if (number == MESSAGE_MESSAGE)
                        return KIND_MESSAGE;
                if (number == MESSAGE_ENUM)
                        return KIND_ENUM;
                *ret_named = number == MESSAGE_FIELD || number == MESSAGE_EXTENSION ||
                             number == MESSAGE_ONEOF;
                return KIND_LEAF;
        case KIND_ENUM:
                *ret_named = number == ENUM_VALUE;
                return KIND_LEAF;
        case KIND_SERVICE:
                *ret_named = number == SERVICE_METHOD;
                return KIND_LEAF;
        case KIND_LEAF:
                break;
        }
        *ret_named = false;
        return KIND_LEAF;
}

/* As deep as messages nest in our own .proto files. */
static void add_symbols(struct descriptor_index *x, struct wire_reader r, enum kind kind,
                        const char *scope, int file)
{
        struct wire_field f;

        while (wire_next(&r, &f)) {
                struct wire_reader inner;
                bool is_named;
                enum kind inner_kind = kind_of(kind, f.number, &is_named);
                cleanup_(freep) char *name = NULL;
                char *full;

                if (!is_named)
                        continue;
                inner = wire_reader(f.data, f.n_bytes);
                name = text_field(inner, ANY_NAME);
                full = join(scope, name);
                add_symbol(x, full, file);
                /* Values of an enum live beside it, not in it. */
                add_symbols(x, inner, inner_kind, inner_kind == KIND_ENUM ? scope : full, file);
        }
        assert(!r.failed);
}

static struct wire_reader file_reader(const struct file *f)
{
        return wire_reader(f->bytes.data, f->bytes.n_bytes);
}

static void read_files(struct descriptor_index *x, const uint8_t *set, size_t n_bytes)
{
        struct wire_reader r = wire_reader(set, n_bytes);
        struct wire_field f;

        while (wire_next(&r, &f)) {
                struct file *file;

                if (f.number != SET_FILE)
                        continue;
                x->files = xrealloc(x->files, (x->n_files + 1) * sizeof(*x->files));
                file = &x->files[x->n_files++];
                *file = (struct file){ .bytes = { .data = f.data, .n_bytes = f.n_bytes } };
                file->name = text_field(file_reader(file), FILE_NAME);
        }
        assert(!r.failed);
}

static void read_imports(struct descriptor_index *x, struct file *file)
{
        struct wire_reader r = file_reader(file);
        struct wire_field f;

        while (wire_next(&r, &f)) {
                cleanup_(freep) char *name = NULL;
                int import;

                if (f.number != FILE_IMPORT)
                        continue;
                name = take_text(&f);
                import = descriptor_index_find_file(x, name);
                assert(import >= 0); /* protoc was told --include_imports */
                file->imports =
                    xrealloc(file->imports, (file->n_imports + 1) * sizeof(*file->imports));
                file->imports[file->n_imports++] = import;
        }
}

static int compare_symbols(const void *a, const void *b)
{
        return strcmp(((const struct symbol *)a)->name, ((const struct symbol *)b)->name);
}

struct descriptor_index *descriptor_index_new(const uint8_t *set, size_t n_bytes)
{
        struct descriptor_index *x = xcalloc(1, sizeof(*x));

        read_files(x, set, n_bytes);
        for (size_t i = 0; i < x->n_files; i++) {
                cleanup_(freep) char *package = text_field(file_reader(&x->files[i]), FILE_PACKAGE);

                read_imports(x, &x->files[i]);
                add_symbols(x, file_reader(&x->files[i]), KIND_FILE, package, (int)i);
        }
        if (x->n_symbols)
                qsort(x->symbols, x->n_symbols, sizeof(*x->symbols), compare_symbols);
        return x;
}

struct descriptor_index *descriptor_index_free(struct descriptor_index *x)
{
        if (!x)
                return NULL;
        for (size_t i = 0; i < x->n_files; i++) {
                free(x->files[i].name);
                free(x->files[i].imports);
        }
        for (size_t i = 0; i < x->n_symbols; i++)
                free(x->symbols[i].name);
        free(x->files);
        free(x->symbols);
        free(x);
        return NULL;
}

int descriptor_index_find_file(const struct descriptor_index *x, const char *name)
{
        for (size_t i = 0; i < x->n_files; i++)
                if (!strcmp(x->files[i].name, name))
                        return (int)i;
        return -1;
}

int descriptor_index_find_symbol(const struct descriptor_index *x, const char *symbol)
{
        const struct symbol key = { .name = (char *)symbol };
        const struct symbol *s = NULL;

        if (x->n_symbols)
                s = bsearch(&key, x->symbols, x->n_symbols, sizeof(key), compare_symbols);
        return s ? s->file : -1;
}

static void add_closure(const struct descriptor_index *x, int file, bool *seen,
                        struct descriptor_file *files, size_t *n)
{
        const struct file *f = &x->files[file];

        if (seen[file])
                return;
        seen[file] = true;
        for (size_t i = 0; i < f->n_imports; i++)
                add_closure(x, f->imports[i], seen, files, n);
        files[(*n)++] = f->bytes;
}

size_t descriptor_index_closure(const struct descriptor_index *x, int file,
                                struct descriptor_file *files)
{
        cleanup_(freep) bool *seen = xcalloc(x->n_files, sizeof(*seen));
        size_t n = 0;

        add_closure(x, file, seen, files, &n);
        return n;
}

size_t descriptor_index_count(const struct descriptor_index *x)
{
        return x->n_files;
}
