/* keys.c - building the keys of keys.h. Any thread. */
#include "topo/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct key key_of_id(const char *kind, uint64_t id, const char *rest)
{
        struct key k;

        snprintf(k.s, sizeof k.s, "%s/%016" PRIx64 "%s", kind, id, rest);
        return k;
}

static struct key key_of_name(const char *kind, const char *name)
{
        struct key k;

        snprintf(k.s, sizeof k.s, "%s/%.*s", kind, KEYS_MAX_NAME_BYTES, name);
        return k;
}

static void add_escaped(struct key *k, const char *name)
{
        static const char digits[] = "0123456789ABCDEF";
        char *p = k->s + strlen(k->s);

        for (size_t i = 0; name[i] && i < KEYS_MAX_NAME_BYTES; i++) {
                unsigned char c = (unsigned char)name[i];

                if (c >= 'A' && c <= 'Z')
                        c += 'a' - 'A';
                if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_') {
                        *p++ = (char)c;
                        continue;
                }
                *p++ = '%';
                *p++ = digits[c >> 4];
                *p++ = digits[c & 15];
        }
        *p = '\0';
}

struct key key_boot(void)
{
        return (struct key){ "boot" };
}

struct key key_keyspace_counter(void)
{
        return (struct key){ "counter/keyspace" };
}

struct key key_keyspace(const char *name)
{
        return key_of_name("keyspace", name);
}

struct key key_shards(uint64_t keyspace_id)
{
        return key_of_id("shards", keyspace_id, "");
}

struct key key_tables(uint64_t keyspace_id)
{
        return key_of_id("table", keyspace_id, "/");
}

struct key key_table(uint64_t keyspace_id, const char *name)
{
        struct key k = key_tables(keyspace_id);

        add_escaped(&k, name);
        return k;
}

struct key key_objects(uint64_t keyspace_id)
{
        return key_of_id("object", keyspace_id, "/");
}

struct key key_objects_of(uint64_t keyspace_id, const char *table)
{
        struct key k = key_objects(keyspace_id);

        add_escaped(&k, table);
        strcat(k.s, "/");
        return k;
}

struct key key_object(uint64_t keyspace_id, const char *table, const char *name)
{
        struct key k = key_objects_of(keyspace_id, table);

        add_escaped(&k, name);
        return k;
}

struct key key_sequences(uint64_t keyspace_id)
{
        return key_of_id("sequence", keyspace_id, "/");
}

struct key key_sequence(uint64_t keyspace_id, const char *table)
{
        struct key k = key_sequences(keyspace_id);

        add_escaped(&k, table);
        return k;
}

struct key key_changes(uint64_t keyspace_id)
{
        return key_of_id("change", keyspace_id, "/");
}

struct key key_change(uint64_t keyspace_id, uint64_t number)
{
        struct key k = key_changes(keyspace_id);
        size_t n = strlen(k.s);

        snprintf(k.s + n, sizeof k.s - n, "%016" PRIx64, number);
        return k;
}

struct key key_statistics_all(uint64_t keyspace_id)
{
        return key_of_id("statistics", keyspace_id, "/");
}

struct key key_statistics(uint64_t keyspace_id, const char *table)
{
        struct key k = key_statistics_all(keyspace_id);

        add_escaped(&k, table);
        return k;
}

struct key key_tablet(const char *id)
{
        return key_of_name("tablet", id);
}

struct key key_gate(const char *id)
{
        return key_of_name("gate", id);
}

struct key key_store(void)
{
        return (struct key){ "store" };
}

struct key key_transaction(uint64_t epoch, uint64_t counter)
{
        struct key k;

        snprintf(k.s, sizeof k.s, KEYS_TRANSACTIONS "%016" PRIx64 "/%016" PRIx64, epoch, counter);
        return k;
}

struct key key_transaction_mark(uint64_t epoch)
{
        struct key k;

        snprintf(k.s, sizeof k.s, KEYS_TRANSACTION_MARKS "%016" PRIx64, epoch);
        return k;
}

/* 16 digits, then end. */
static bool parse_number(const char **p, char end, uint64_t *ret_number)
{
        static const char digits[] = "0123456789abcdef";
        uint64_t number = 0;

        for (int i = 0; i < 16; i++, (*p)++) {
                const char *digit = **p ? strchr(digits, **p) : NULL;

                if (!digit)
                        return false;
                number = number << 4 | (uint64_t)(digit - digits);
        }
        *ret_number = number;
        return *(*p)++ == end;
}

bool key_parse_transaction(const char *key, uint64_t *ret_epoch, uint64_t *ret_counter)
{
        if (strncmp(key, KEYS_TRANSACTIONS, strlen(KEYS_TRANSACTIONS)))
                return false;
        key += strlen(KEYS_TRANSACTIONS);
        return parse_number(&key, '/', ret_epoch) && parse_number(&key, '\0', ret_counter);
}

bool key_parse_transaction_mark(const char *key, uint64_t *ret_epoch)
{
        if (strncmp(key, KEYS_TRANSACTION_MARKS, strlen(KEYS_TRANSACTION_MARKS)))
                return false;
        key += strlen(KEYS_TRANSACTION_MARKS);
        return parse_number(&key, '\0', ret_epoch);
}
