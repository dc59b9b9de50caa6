/* admin_print.c - topo's messages as tables and as JSON. The names in the JSON are those of the
 * messages' fields. */
#include <string.h>
#include <strings.h>

#include "cli/admin_int.h"
#include "cli/printer.h"
#include "cli/topology.h"
#include "common/value.h"

/* ---- JSON */

/* jansson refuses text that is not UTF-8; such a name is shown as null rather than not at all. */
static json_t *text_json(const char *s)
{
        json_t *text = json_string(s);

        return text ? text : json_null();
}

static json_t *uint_json(uint64_t n)
{
        return json_integer((json_int_t)n);
}

json_t *admin_list_json(size_t n, void **items, json_t *(*one)(const void *item))
{
        json_t *list = json_array();

        for (size_t i = 0; i < n; i++)
                json_array_append_new(list, one(items[i]));
        return list;
}

static json_t *texts_json(size_t n, char **texts)
{
        json_t *list = json_array();

        for (size_t i = 0; i < n; i++)
                json_array_append_new(list, text_json(texts[i]));
        return list;
}

json_t *admin_shard_json(const void *item)
{
        const Shoal__V1__Shard *s = item;

        return json_pack("{s:o, s:o, s:o, s:b}", "name", text_json(s->name), "tablet",
                         text_json(s->tablet), "epoch", uint_json(s->epoch), "serving", s->serving);
}

static json_t *vindex_json(const void *item)
{
        const Shoal__V1__ColumnVindex *v = item;

        return json_pack("{s:o, s:o}", "vindex", text_json(v->vindex), "columns",
                         texts_json(v->n_columns, v->columns));
}

json_t *admin_table_json(const void *item)
{
        const Shoal__V1__Table *t = item;
        json_t *sharding = json_null();

        if (t->sharding)
                sharding = json_pack("{s:o, s:o}", "type", text_json(t->sharding->type), "vindexes",
                                     admin_list_json(t->sharding->n_vindexes,
                                                     (void **)t->sharding->vindexes, vindex_json));
        return json_pack("{s:o, s:o, s:o}", "name", text_json(t->name), "sql", text_json(t->sql),
                         "sharding", sharding);
}

static json_t *object_json(const void *item)
{
        const Shoal__V1__SchemaObject *o = item;

        return json_pack("{s:o, s:o, s:o, s:o}", "type", text_json(o->type), "name",
                         text_json(o->name), "table", text_json(o->table), "sql",
                         text_json(o->sql));
}

json_t *admin_keyspace_json(const void *item)
{
        const Shoal__V1__Keyspace *k = item;

        return json_pack(
            "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", text_json(k->name), "id",
            uint_json(k->id), "engine", text_json(k->engine), "schema_version",
            uint_json(k->schema_version), "shards",
            admin_list_json(k->n_shards, (void **)k->shards, admin_shard_json), "tables",
            admin_list_json(k->n_tables, (void **)k->tables, admin_table_json), "objects",
            admin_list_json(k->n_objects, (void **)k->objects, object_json));
}

json_t *admin_tablet_json(const void *item)
{
        const Shoal__V1__TabletInfo *t = item;

        return json_pack("{s:o, s:o, s:b, s:o, s:o, s:o}", "id", text_json(t->id), "address",
                         text_json(t->address), "healthy", t->healthy, "bytes_used",
                         uint_json(t->bytes_used), "bytes_capacity", uint_json(t->bytes_capacity),
                         "shard_count", uint_json(t->shard_count));
}

enum err_code admin_print_json(const struct admin_context *c, json_t *value)
{
        json_dumpf(value, c->out, JSON_INDENT(2));
        fputc('\n', c->out);
        json_decref(value);
        return ERR_OK;
}

/* ---- tables */

static const struct print_settings table_settings = { .mode = PRINT_TABLE, .null_text = "" };

static struct value text(const char *s)
{
        return value_text(s, strlen(s));
}

static struct value number(uint64_t n)
{
        return value_integer((int64_t)n);
}

/* Bytes as people read them: "1.4 MiB". */
static const char *format_bytes(uint64_t n, char *s, size_t n_bytes)
{
        static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
        double d = (double)n;
        size_t unit = 0;

        while (d >= 1024 && unit + 1 < ARRAY_LEN(units)) {
                d /= 1024;
                unit++;
        }
        snprintf(s, n_bytes, unit ? "%.1f %s" : "%.0f %s", d, units[unit]);
        return s;
}

void admin_print_keyspaces(const struct admin_context *c, const Shoal__V1__Topology *t)
{
        static const char *const names[] = { "keyspace", "shards", "tables", "schema version",
                                             "engine" };
        struct printer *p = printer_new(c->out, &table_settings);

        printer_columns(p, names, ARRAY_LEN(names));
        for (size_t i = 0; i < t->n_keyspaces; i++) {
                const Shoal__V1__Keyspace *k = t->keyspaces[i];
                struct value row[] = { text(k->name), number(k->n_shards), number(k->n_tables),
                                       number(k->schema_version), text(k->engine) };

                printer_row(p, row);
        }
        printer_end(p);
        printer_free(p);
}

void admin_print_tablets(const struct admin_context *c, const Shoal__V1__Topology *t)
{
        static const char *const names[] = { "tablet", "address", "healthy",
                                             "shards", "used",    "capacity" };
        struct printer *p = printer_new(c->out, &table_settings);

        printer_columns(p, names, ARRAY_LEN(names));
        for (size_t i = 0; i < t->n_tablets; i++) {
                const Shoal__V1__TabletInfo *info = t->tablets[i];
                char used[32], capacity[32];
                struct value row[] = { text(info->id),
                                       text(info->address),
                                       text(info->healthy ? "yes" : "no"),
                                       number(info->shard_count),
                                       text(format_bytes(info->bytes_used, used, sizeof used)),
                                       text(format_bytes(info->bytes_capacity, capacity,
                                                         sizeof capacity)) };

                printer_row(p, row);
        }
        printer_end(p);
        printer_free(p);
}

void admin_print_shards(const struct admin_context *c, const Shoal__V1__Keyspace *k)
{
        static const char *const names[] = { "shard", "tablet", "epoch", "serving" };
        struct printer *p = printer_new(c->out, &table_settings);

        printer_columns(p, names, ARRAY_LEN(names));
        for (size_t i = 0; i < k->n_shards; i++) {
                const Shoal__V1__Shard *s = k->shards[i];
                struct value row[] = { text(s->name), text(s->tablet), number(s->epoch),
                                       text(s->serving ? "yes" : "no") };

                printer_row(p, row);
        }
        printer_end(p);
        printer_free(p);
}

void admin_print_tables(const struct admin_context *c, const Shoal__V1__Keyspace *k)
{
        static const char *const names[] = { "table", "sharding", "indexes" };
        struct printer *p = printer_new(c->out, &table_settings);

        printer_columns(p, names, ARRAY_LEN(names));
        for (size_t i = 0; i < k->n_tables; i++) {
                cleanup_(freep) char *sharding = topology_sharding(k->tables[i]);
                uint64_t n_indexes = 0;

                for (size_t o = 0; o < k->n_objects; o++)
                        n_indexes += strcmp(k->objects[o]->type, "index") == 0 &&
                                     strcasecmp(k->objects[o]->table, k->tables[i]->name) == 0;
                struct value row[] = { text(k->tables[i]->name), text(sharding),
                                       number(n_indexes) };

                printer_row(p, row);
        }
        printer_end(p);
        printer_free(p);
}

void admin_print_table(const struct admin_context *c, const Shoal__V1__Keyspace *k,
                       const Shoal__V1__Table *t)
{
        cleanup_(freep) char *sql = topology_create_sql(t);

        fprintf(c->out, "%s;\n", sql);
        for (size_t i = 0; i < k->n_objects; i++) {
                if (strcasecmp(k->objects[i]->table, t->name) == 0)
                        fprintf(c->out, "%s;\n", k->objects[i]->sql);
        }
}
