/* kv_items.c - lists of keys and values that own their bytes. One thread at a time. */
#include <string.h>

#include "topo/kv_db_int.h"

void kv_items_done(struct kv_items *list)
{
        for (size_t i = 0; i < list->n; i++) {
                free((char *)(uintptr_t)list->items[i].key);
                free((void *)(uintptr_t)list->items[i].value);
        }
        free(list->items);
        *list = (struct kv_items){ 0 };
}

void kv_items_add(struct kv_items *list, const char *key, const void *value, size_t n_bytes,
                  uint64_t revision, uint64_t lease)
{
        struct store_item *item;
        void *copy = NULL;

        if (list->n == list->n_allocated) {
                list->n_allocated = list->n_allocated ? 2 * list->n_allocated : 8;
                list->items = xrealloc(list->items, list->n_allocated * sizeof *list->items);
        }
        if (value) {
                copy = xmalloc(n_bytes);
                memcpy(copy, value, n_bytes);
        }
        item = &list->items[list->n++];
        *item = (struct store_item){ xstrdup(key), copy, n_bytes, revision, lease };
        list->n_bytes += n_bytes;
}
