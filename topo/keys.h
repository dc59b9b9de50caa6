/* keys.h - the names under which topo's records lie in the store. Pure functions; any thread.
 *
 *   boot                              BootRecord
 *   store                             StoreRecord
 *   counter/keyspace                  CounterRecord: ids of keyspaces
 *   keyspace/NAME                     KeyspaceRecord
 *   shards/KEYSPACE                   ShardsRecord
 *   table/KEYSPACE/TABLE              Table
 *   object/KEYSPACE/TABLE/OBJECT      SchemaObject: an index, view or trigger
 *   sequence/KEYSPACE/TABLE           SequenceRecord
 *   change/KEYSPACE/NUMBER            SchemaChangeRecord
 *   statistics/KEYSPACE/TABLE         StatisticsRecord
 *   tablet/ID                         TabletRecord
 *   gate/ID                           GateRecord
 *   transaction/EPOCH/COUNTER         DecisionRecord
 *   transactionmark/EPOCH             DecisionMarkRecord
 *
 * KEYSPACE is the id in 16 hexadecimal digits, NUMBER, EPOCH and COUNTER likewise. Names of tables
 * and objects are in lower case, as SQLite compares them, and bytes other than [a-z0-9_] are
 * written %XX. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
        /* Of a table's, index's, view's or trigger's name, so that two escaped ones and a prefix
           fit. */
        KEYS_MAX_NAME_BYTES = 255,
        KEYS_BYTES = 2 * 3 * KEYS_MAX_NAME_BYTES + 64,
};

struct key {
        char s[KEYS_BYTES];
};

/* Names are cut at KEYS_MAX_NAME_BYTES: callers have checked them. */
struct key key_boot(void);
struct key key_keyspace_counter(void);
struct key key_keyspace(const char *name);
struct key key_shards(uint64_t keyspace_id);
struct key key_table(uint64_t keyspace_id, const char *name);
struct key key_object(uint64_t keyspace_id, const char *table, const char *name);
struct key key_sequence(uint64_t keyspace_id, const char *table);
struct key key_change(uint64_t keyspace_id, uint64_t number);
struct key key_statistics(uint64_t keyspace_id, const char *table);
struct key key_tablet(const char *id);
struct key key_gate(const char *id);
struct key key_store(void);
struct key key_transaction(uint64_t epoch, uint64_t counter);
struct key key_transaction_mark(uint64_t epoch);
/* The other way round. False: not a key of that kind. */
bool key_parse_transaction(const char *key, uint64_t *ret_epoch, uint64_t *ret_counter);
bool key_parse_transaction_mark(const char *key, uint64_t *ret_epoch);

/* Prefixes of all of a kind. */
#define KEYS_KEYSPACES "keyspace/"
#define KEYS_TABLETS "tablet/"
#define KEYS_GATES "gate/"
#define KEYS_TRANSACTIONS "transaction/"
#define KEYS_TRANSACTION_MARKS "transactionmark/"
#define KEYS_STATISTICS "statistics/"
struct key key_tables(uint64_t keyspace_id);
struct key key_objects(uint64_t keyspace_id);
struct key key_objects_of(uint64_t keyspace_id, const char *table);
struct key key_sequences(uint64_t keyspace_id);
struct key key_changes(uint64_t keyspace_id);
struct key key_statistics_all(uint64_t keyspace_id);
