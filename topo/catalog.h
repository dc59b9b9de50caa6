/* catalog.h - what the store holds, decoded and in order of the keys (topo/keys.h), but for what
 * topo/records.h keeps. It follows the store's watch and nothing else, so that what other processes
 * write arrives the same way as what this one writes. Owner: the loop thread. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/shoal/v1/store.pb-c.h"
#include "topo/store.h"

struct catalog;

enum catalog_kind {
        CATALOG_BOOT = 0,
        CATALOG_STORE,
        CATALOG_COUNTER,
        CATALOG_KEYSPACE,
        CATALOG_SHARDS,
        CATALOG_TABLE,
        CATALOG_OBJECT,
        CATALOG_SEQUENCE,
        CATALOG_CHANGE,
        CATALOG_STATISTICS,
        CATALOG_TABLET,
        CATALOG_GATE,
        CATALOG_N_KINDS,
};

struct catalog_entry {
        char *key;
        enum catalog_kind kind;
        uint64_t mod_revision;
        uint64_t lease;
        union { /* by kind; never NULL */
                ProtobufCMessage *message;
                Shoal__V1__BootRecord *boot;
                Shoal__V1__StoreRecord *store;
                Shoal__V1__CounterRecord *counter;
                Shoal__V1__KeyspaceRecord *keyspace;
                Shoal__V1__ShardsRecord *shards;
                Shoal__V1__Table *table;
                Shoal__V1__SchemaObject *object;
                Shoal__V1__SequenceRecord *sequence;
                Shoal__V1__SchemaChangeRecord *change;
                Shoal__V1__StatisticsRecord *statistics;
                Shoal__V1__TabletRecord *tablet;
                Shoal__V1__GateRecord *gate;
        };
};

struct catalog *catalog_new(void);
struct catalog *catalog_free(struct catalog *c); /* accepts NULL, returns NULL */

/* Becomes what a list of all keys gave. ERR_DATA_LOSS (STORE_DAMAGED): a record cannot be read; the
 * catalogue is then what it was. Keys of kinds unknown here, from a newer version, are passed over.
 */
enum err_code catalog_replace(struct catalog *c, uint64_t revision, const struct store_item *items,
                              size_t n_items, struct err *reterr) must_check_;
/* Applies what a revision changed. *ret_visible: the change is one that the Topology shows.
 * ERR_DATA_LOSS likewise, but then part of it may have been applied. */
enum err_code catalog_apply(struct catalog *c, uint64_t revision, const struct store_item *items,
                            size_t n_items, bool *ret_visible, struct err *reterr) must_check_;

uint64_t catalog_revision(const struct catalog *c);
/* Of the statistics that were written last, of those there are or have been; 0: none. */
uint64_t catalog_statistics_version(const struct catalog *c);
/* Entries are borrowed until the catalogue changes. */
const struct catalog_entry *catalog_find(const struct catalog *c, const char *key);
/* For loops over a prefix: the first entry with it, and the one after e if that has it too. NULL at
 * the end. */
const struct catalog_entry *catalog_first(const struct catalog *c, const char *prefix);
const struct catalog_entry *catalog_next(const struct catalog *c, const struct catalog_entry *e,
                                         const char *prefix);
const struct catalog_entry *catalog_last(const struct catalog *c, const char *prefix);
size_t catalog_count(const struct catalog *c, const char *prefix);

/* Keyspaces are kept by name; this looks for the id. */
const struct catalog_entry *catalog_find_keyspace(const struct catalog *c, uint64_t id);
