/* admin.c - the commands and what each of them prints: a table for people, JSON for programs. */
#include "cli/admin.h"

#include <jansson.h>
#include <string.h>

#include "cli/admin_int.h"
#include "cli/topology.h"

struct admin_command {
        const char *noun, *verb;
        size_t n_names;      /* words behind the verb */
        const char *names;   /* how help calls them */
        unsigned allowed;    /* OPTION_… */
        const char *options; /* how help shows them */
        const char *summary;
        enum err_code (*run)(const struct admin_context *c, struct err *reterr);
};

/* ---- keyspaces */

static enum err_code keyspace_list(const struct admin_context *c, struct err *reterr)
{
        cleanup_(topology_freep) Shoal__V1__Topology *t = NULL;
        enum err_code rc = topology_get(c->topo, &t, reterr);

        if (rc)
                return rc;
        if (c->json)
                return admin_print_json(
                    c, admin_list_json(t->n_keyspaces, (void **)t->keyspaces, admin_keyspace_json));
        admin_print_keyspaces(c, t);
        return ERR_OK;
}

static enum err_code keyspace_show(const struct admin_context *c, struct err *reterr)
{
        cleanup_(topology_freep) Shoal__V1__Topology *t = NULL;
        Shoal__V1__Keyspace *k;
        enum err_code rc = topology_get(c->topo, &t, reterr);

        rc = rc ? rc : topology_find(t, c->names[0], &k, reterr);
        if (rc)
                return rc;
        if (c->json)
                return admin_print_json(c, admin_keyspace_json(k));
        fprintf(c->out, "keyspace %s, engine %s, schema version %llu\n", k->name, k->engine,
                (unsigned long long)k->schema_version);
        admin_print_shards(c, k);
        admin_print_tables(c, k);
        return ERR_OK;
}

static enum err_code keyspace_create(const struct admin_context *c, struct err *reterr)
{
        Shoal__V1__CreateKeyspaceRequest request = SHOAL__V1__CREATE_KEYSPACE_REQUEST__INIT;
        ProtobufCMessage *reply = NULL;
        Shoal__V1__Keyspace *k;
        enum err_code rc;

        request.name = (char *)c->names[0];
        request.shard_count = c->options->shards;
        rc = remote_call(c->topo, "/shoal.v1.Topo/CreateKeyspace", &request.base,
                         &shoal__v1__keyspace__descriptor, &reply, reterr);
        if (rc == ERR_EXISTS && (c->options->given & OPTION_IF_NOT_EXISTS))
                return keyspace_show(c, reterr);
        if (rc)
                return rc;
        k = (Shoal__V1__Keyspace *)reply;
        if (c->json)
                rc = admin_print_json(c, admin_keyspace_json(k));
        else
                fprintf(c->out, "created keyspace %s with %zu shards\n", k->name, k->n_shards);
        protobuf_c_message_free_unpacked(reply, NULL);
        return rc;
}

static enum err_code keyspace_drop(const struct admin_context *c, struct err *reterr)
{
        Shoal__V1__DropKeyspaceRequest request = SHOAL__V1__DROP_KEYSPACE_REQUEST__INIT;
        ProtobufCMessage *reply = NULL;
        enum err_code rc;

        request.name = (char *)c->names[0];
        request.force = (c->options->given & OPTION_FORCE) != 0;
        rc = remote_call(c->topo, "/shoal.v1.Topo/DropKeyspace", &request.base,
                         &shoal__v1__drop_keyspace_response__descriptor, &reply, reterr);
        if (rc)
                return rc;
        protobuf_c_message_free_unpacked(reply, NULL);
        fprintf(c->out, c->json ? "{}\n" : "dropped keyspace %s\n", c->names[0]);
        return ERR_OK;
}

/* ---- tablets, shards, tables */

static enum err_code tablet_list(const struct admin_context *c, struct err *reterr)
{
        cleanup_(topology_freep) Shoal__V1__Topology *t = NULL;
        enum err_code rc = topology_get(c->topo, &t, reterr);

        if (rc)
                return rc;
        if (c->json)
                return admin_print_json(
                    c, admin_list_json(t->n_tablets, (void **)t->tablets, admin_tablet_json));
        admin_print_tablets(c, t);
        return ERR_OK;
}

static enum err_code shard_list(const struct admin_context *c, struct err *reterr)
{
        cleanup_(topology_freep) Shoal__V1__Topology *t = NULL;
        Shoal__V1__Keyspace *k;
        enum err_code rc = topology_get(c->topo, &t, reterr);

        rc = rc ? rc : topology_find(t, c->options->keyspace, &k, reterr);
        if (rc)
                return rc;
        if (c->json)
                return admin_print_json(
                    c, admin_list_json(k->n_shards, (void **)k->shards, admin_shard_json));
        admin_print_shards(c, k);
        return ERR_OK;
}

static enum err_code table_list(const struct admin_context *c, struct err *reterr)
{
        cleanup_(topology_freep) Shoal__V1__Topology *t = NULL;
        Shoal__V1__Keyspace *k;
        enum err_code rc = topology_get(c->topo, &t, reterr);

        rc = rc ? rc : topology_find(t, c->options->keyspace, &k, reterr);
        if (rc)
                return rc;
        if (c->json)
                return admin_print_json(
                    c, admin_list_json(k->n_tables, (void **)k->tables, admin_table_json));
        admin_print_tables(c, k);
        return ERR_OK;
}

static enum err_code table_show(const struct admin_context *c, struct err *reterr)
{
        cleanup_(topology_freep) Shoal__V1__Topology *t = NULL;
        Shoal__V1__Keyspace *k;
        enum err_code rc = topology_get(c->topo, &t, reterr);

        rc = rc ? rc : topology_find(t, c->options->keyspace, &k, reterr);
        if (rc)
                return rc;
        for (size_t i = 0; i < k->n_tables; i++) {
                if (strcasecmp(k->tables[i]->name, c->names[0]) != 0)
                        continue;
                if (c->json)
                        return admin_print_json(c, admin_table_json(k->tables[i]));
                admin_print_table(c, k, k->tables[i]);
                return ERR_OK;
        }
        return err_set(reterr, ERR_NOT_FOUND, "NO_SUCH_TABLE", "no such table: %s", c->names[0]);
}

/* ---- the table of commands */

#define KEYSPACE_OPTION "[--keyspace K]"

/* clang-format off */
static const struct admin_command commands[] = {
        { "keyspace", "list", 0, "", OPTION_JSON, "",
          "the databases of the cluster: shards, tables, version of the schema", keyspace_list },
        { "keyspace", "show", 1, "NAME", OPTION_JSON, "",
          "one of them, with its shards, who serves them, and its tables", keyspace_show },
        { "keyspace", "create", 1, "NAME", OPTION_JSON | OPTION_SHARDS | OPTION_IF_NOT_EXISTS, "[--shards N] [--if-not-exists]",
          "a new database of N shards (16); the number stays, so take many times the number of tablets", keyspace_create },
        { "keyspace", "drop", 1, "NAME", OPTION_JSON | OPTION_FORCE, "[--force]",
          "remove it; --force also when it has tables", keyspace_drop },
        { "tablet", "list", 0, "", OPTION_JSON, "",
          "the processes that hold data: health, bytes, shards", tablet_list },
        { "shard", "list", 0, "", OPTION_JSON, KEYSPACE_OPTION,
          "the shards of a keyspace and who serves each", shard_list },
        { "table", "list", 0, "", OPTION_JSON, KEYSPACE_OPTION,
          "the tables of a keyspace and how each is sharded", table_list },
        { "table", "show", 1, "NAME", OPTION_JSON, KEYSPACE_OPTION,
          "one of them: its CREATE statement, indexes, sharding", table_show },
        { "transaction", "list", 0, "", OPTION_JSON | OPTION_UNRESOLVED, "[--unresolved]",
          "transactions over several shards: those that are not over, then the last that ended; --unresolved only the former", admin_transaction_list },
        { "transaction", "show", 1, "ID", OPTION_JSON, "",
          "one of them: preparing, committed (not yet durable everywhere), aborted, done, forgotten; and its shards", admin_transaction_show },
        { "transaction", "resolve", 1, "ID", OPTION_JSON, "",
          "how it ended; of one that was not decided and whose gate is gone, that it is aborted; else why that has to wait", admin_transaction_resolve },
};
/* clang-format on */

bool admin_is_noun(const char *word)
{
        for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
                if (strcmp(commands[i].noun, word) == 0)
                        return true;
        }
        return false;
}

void admin_help(FILE *out, const char *noun)
{
        for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
                const struct admin_command *c = &commands[i];

                if (strcmp(c->noun, noun) != 0)
                        continue;
                fprintf(out, "  shoal %s %s%s%s%s%s%s\n        %s\n", c->noun, c->verb,
                        *c->names ? " " : "", c->names, *c->options ? " " : "", c->options,
                        c->allowed & OPTION_JSON ? " [--json]" : "", c->summary);
        }
}

static enum err_code check_words(const struct admin_command *c, const struct options *o,
                                 struct err *reterr)
{
        if (o->n_words < 2 + c->n_names)
                return err_set(reterr, ERR_INVALID, "", "shoal %s %s: %s is missing", c->noun,
                               c->verb, c->names);
        if (o->n_words > 2 + c->n_names)
                return err_set(reterr, ERR_INVALID, "", "shoal %s %s: what is \"%s\"?", c->noun,
                               c->verb, o->words[2 + c->n_names]);
        if (o->given & ~c->allowed)
                return err_set(reterr, ERR_INVALID, "",
                               "shoal %s %s does not take all of these options", c->noun, c->verb);
        return ERR_OK;
}

enum err_code admin_find(const struct options *o, const struct admin_command **ret_command,
                         struct err *reterr)
{
        const char *noun = o->n_words ? o->words[0] : "";

        *ret_command = NULL;
        if (!admin_is_noun(noun))
                return ERR_OK;
        for (size_t i = 0; i < ARRAY_LEN(commands) && o->n_words > 1; i++) {
                if (strcmp(commands[i].noun, noun) == 0 &&
                    strcmp(commands[i].verb, o->words[1]) == 0) {
                        *ret_command = &commands[i];
                        return check_words(&commands[i], o, reterr);
                }
        }
        if (o->n_words < 2)
                return err_set(reterr, ERR_INVALID, "", "shoal %s: what to do? See: shoal help %s",
                               noun, noun);
        return err_set(reterr, ERR_INVALID, "", "shoal %s: no such command: %s. See: shoal help %s",
                       noun, o->words[1], noun);
}

enum err_code admin_run(const struct admin_command *c, const struct options *o, struct remote *topo,
                        FILE *out, struct err *reterr)
{
        struct admin_context context = {
                .options = o,
                .topo = topo,
                .out = out,
                .json = (o->given & OPTION_JSON) != 0,
                .names = (const char *const *)o->words + 2,
        };

        return c->run(&context, reterr);
}
