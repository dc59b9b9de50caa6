/* descriptor_index.h - which .proto file of a FileDescriptorSet defines what. Immutable once made;
 * any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/util.h"

struct descriptor_index;

struct descriptor_file {
        const uint8_t *data; /* an encoded FileDescriptorProto, borrowed from the set */
        size_t n_bytes;
};

/* The set is borrowed for the index's life and must be well-formed: it comes from protoc. Never
 * NULL. */
struct descriptor_index *descriptor_index_new(const uint8_t *set, size_t n_bytes);
struct descriptor_index *
descriptor_index_free(struct descriptor_index *x); /* accepts NULL, returns NULL */

/* Index of the file with that name, or of the one that defines the symbol ("shoal.v1.Gate",
 * "shoal.v1.Gate.Execute", "shoal.v1.Value.text"); -1: there is none. */
int descriptor_index_find_file(const struct descriptor_index *x, const char *name);
int descriptor_index_find_symbol(const struct descriptor_index *x, const char *symbol);

/* The file and all it imports, directly or not, each once and after what it imports. files has room
 * for descriptor_index_count(). Returns how many. */
size_t descriptor_index_closure(const struct descriptor_index *x, int file,
                                struct descriptor_file *files);
size_t descriptor_index_count(const struct descriptor_index *x);
