/* admin_int.h - between admin.c, which asks, and admin_print.c, which shows. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "cli/options.h"
#include "cli/remote.h"
#include "common/err.h"
#include "proto/shoal/v1/api.pb-c.h"

/* Owner: admin_run(). */
struct admin_context {
        const struct options *options;
        struct remote *topo;
        FILE *out;
        bool json;
        const char *const *names; /* words behind the verb */
};

/* A message as JSON: a new reference. */
json_t *admin_keyspace_json(const void *keyspace);
json_t *admin_shard_json(const void *shard);
json_t *admin_table_json(const void *table);
json_t *admin_tablet_json(const void *tablet);
json_t *admin_list_json(size_t n, void **items, json_t *(*one)(const void *item));
/* Takes the reference. Always ERR_OK. */
enum err_code admin_print_json(const struct admin_context *c, json_t *value);

/* shoal transaction …, see admin.c. */
enum err_code admin_transaction_list(const struct admin_context *c, struct err *reterr) must_check_;
enum err_code admin_transaction_show(const struct admin_context *c, struct err *reterr) must_check_;
enum err_code admin_transaction_resolve(const struct admin_context *c,
                                        struct err *reterr) must_check_;

void admin_print_keyspaces(const struct admin_context *c, const Shoal__V1__Topology *t);
void admin_print_tablets(const struct admin_context *c, const Shoal__V1__Topology *t);
void admin_print_shards(const struct admin_context *c, const Shoal__V1__Keyspace *k);
void admin_print_tables(const struct admin_context *c, const Shoal__V1__Keyspace *k);
void admin_print_table(const struct admin_context *c, const Shoal__V1__Keyspace *k,
                       const Shoal__V1__Table *t);
