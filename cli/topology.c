/* topology.c - shoal.v1.Topo's GetTopology. */
#include "cli/topology.h"

#include <ctype.h>
#include <sqlite3.h>
#include <string.h>

#include "cli/text.h"
#include "common/buf.h"

enum err_code topology_get(struct remote *topo, Shoal__V1__Topology **ret_topology,
                           struct err *reterr)
{
        Shoal__V1__GetTopologyRequest request = SHOAL__V1__GET_TOPOLOGY_REQUEST__INIT;
        ProtobufCMessage *reply = NULL;
        enum err_code rc = remote_call(topo, "/shoal.v1.Topo/GetTopology", &request.base,
                                       &shoal__v1__topology__descriptor, &reply, reterr);

        if (rc)
                return rc;
        *ret_topology = (Shoal__V1__Topology *)reply;
        return ERR_OK;
}

Shoal__V1__Topology *topology_free(Shoal__V1__Topology *t)
{
        if (t)
                shoal__v1__topology__free_unpacked(t, NULL);
        return NULL;
}

enum err_code topology_find(const Shoal__V1__Topology *t, const char *keyspace,
                            Shoal__V1__Keyspace **ret_keyspace, struct err *reterr)
{
        for (size_t i = 0; i < t->n_keyspaces; i++) {
                if (strcmp(t->keyspaces[i]->name, keyspace) == 0) {
                        *ret_keyspace = t->keyspaces[i];
                        return ERR_OK;
                }
        }
        return err_set(reterr, ERR_NOT_FOUND, "UNKNOWN_KEYSPACE", "no such keyspace: %s", keyspace);
}

char *topology_sharding(const Shoal__V1__Table *t)
{
        const Shoal__V1__TableSharding *s = t->sharding;
        struct buf b = BUF_INIT(0);

        if (!s || s->n_vindexes == 0)
                return xstrdup(s && *s->type ? s->type : "unsharded");
        buf_printf(&b, "%s (", s->vindexes[0]->vindex);
        for (size_t i = 0; i < s->vindexes[0]->n_columns; i++)
                buf_printf(&b, "%s%s", i ? ", " : "", s->vindexes[0]->columns[i]);
        buf_add_str(&b, ")");
        return buf_take_str(&b);
}

/* In quotes only where SQL needs them. */
static void add_name(struct buf *b, const char *name)
{
        size_t n = strlen(name);
        bool plain =
            n > 0 && !isdigit((unsigned char)name[0]) && !sqlite3_keyword_check(name, (int)n);

        for (size_t i = 0; i < n && plain; i++)
                plain = name[i] == '_' || (isalnum((unsigned char)name[i]) && isascii(name[i]));
        if (plain)
                buf_add_str(b, name);
        else
                text_add_name(b, name);
}

char *topology_create_sql(const Shoal__V1__Table *t)
{
        const Shoal__V1__TableSharding *s = t->sharding;
        struct buf b = BUF_INIT(0);

        buf_add_str(&b, t->sql);
        if (s && s->n_vindexes && strcmp(s->vindexes[0]->vindex, "hash") == 0) {
                buf_add_str(&b, " SHARD BY HASH (");
                for (size_t i = 0; i < s->vindexes[0]->n_columns; i++) {
                        buf_add_str(&b, i ? ", " : "");
                        add_name(&b, s->vindexes[0]->columns[i]);
                }
                buf_add_str(&b, ")");
        } else if (s && strcmp(s->type, "unsharded") == 0) {
                buf_add_str(&b, " UNSHARDED");
        } else if (s && strcmp(s->type, "reference") == 0) {
                buf_add_str(&b, " REFERENCE");
        }
        return buf_take_str(&b);
}
