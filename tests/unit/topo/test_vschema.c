/* The sharding of all tables as one document. */
#include "tests/unit/topo/fixture.h"

static uint64_t keyspace, epoch, version;

static void set_up(void)
{
        fx_start();
        version = 0;
        fx_tablet("t0");
        epoch = fx_gate("g0", 1);
        keyspace = fx_keyspace("main");
}

/* vindex NULL: the table has none. */
static void add_table(const char *name, const char *type, const char *vindex, const char *column)
{
        Shoal__V1__BeginSchemaChangeRequest rq = SHOAL__V1__BEGIN_SCHEMA_CHANGE_REQUEST__INIT;
        Shoal__V1__TableSharding sharding = SHOAL__V1__TABLE_SHARDING__INIT;
        Shoal__V1__ColumnVindex by = SHOAL__V1__COLUMN_VINDEX__INIT;
        Shoal__V1__ColumnVindex *all[] = { &by };
        Shoal__V1__Table table = SHOAL__V1__TABLE__INIT;
        char *columns[] = { (char *)(uintptr_t)column, (char *)(uintptr_t) "b" };
        struct fx_answer a;

        by.vindex = (char *)(uintptr_t)vindex;
        by.columns = columns;
        by.n_columns = 2;
        sharding.type = (char *)(uintptr_t)type;
        sharding.vindexes = all;
        sharding.n_vindexes = vindex ? 1 : 0;
        table.name = (char *)(uintptr_t)name;
        table.sharding = &sharding;
        rq.keyspace_id = keyspace;
        rq.expected_version = version++;
        rq.gate = (char *)(uintptr_t) "g0";
        rq.gate_epoch = epoch;
        rq.put_table = &table;
        a = fx_call(&schema_begin, &rq.base, &shoal__v1__schema_change__descriptor);
        fx_assert_ok(&a);
        {
                struct fx_answer ended =
                    fx_end(keyspace, ((Shoal__V1__SchemaChange *)a.reply)->id, "g0", epoch,
                           SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_DONE);

                fx_assert_ok(&ended);
                fx_done(&ended);
        }
        fx_done(&a);
}

static struct fx_answer get(const char *name)
{
        Shoal__V1__GetVSchemaRequest rq = SHOAL__V1__GET_VSCHEMA_REQUEST__INIT;

        rq.keyspace = (char *)(uintptr_t)name;
        return fx_call(&vschema_get, &rq.base, &shoal__v1__vschema__descriptor);
}

START_TEST(follows_the_tables)
{
        const Shoal__V1__VSchema *v;
        struct fx_answer a = get("");

        fx_assert_ok(&a);
        v = (Shoal__V1__VSchema *)a.reply;
        ck_assert_str_eq(v->keyspace, "main");
        ck_assert(!v->sharded);
        ck_assert_uint_eq(v->n_tables + v->n_vindexes, 0);
        fx_done(&a);
        add_table("u", "unsharded", NULL, "");
        a = get("main");
        ck_assert(!((Shoal__V1__VSchema *)a.reply)->sharded);
        fx_done(&a);
        add_table("T", "sharded", "hash", "a");
        add_table("s", "sharded", "hash", "c");
        add_table("r", "sharded", "range", "c");
        a = get("main");
        fx_assert_ok(&a);
        v = (Shoal__V1__VSchema *)a.reply;
        ck_assert(v->sharded);
        ck_assert_uint_eq(v->n_tables, 4);
        ck_assert_str_eq(v->tables[2]->key, "T");
        ck_assert_str_eq(v->tables[2]->value->vindexes[0]->columns[0], "a");
        ck_assert_uint_eq(v->n_vindexes, 2);
        for (size_t i = 0; i < 2; i++)
                ck_assert_str_eq(v->vindexes[i]->key, v->vindexes[i]->value->type);
        fx_done(&a);
        a = get("nope");
        fx_assert_failed(&a, ERR_NOT_FOUND, "UNKNOWN_KEYSPACE");
}
END_TEST

static const struct {
        const char *label, *table, *type, *vindex;
        bool dry_run;
        enum err_code want;
        const char *reason, *change;
} documents[] = {
        { "as it is", "t", "sharded", "hash", false, ERR_OK, "", NULL },
        { "as it is, in other letters", "T", "SHARDED", "HASH", false, ERR_OK, "", NULL },
        { "another vindex", "t", "sharded", "range", false, ERR_UNIMPLEMENTED, "NO_RESHARDING",
          NULL },
        { "another vindex, tried", "t", "sharded", "range", true, ERR_OK, "",
          "table t: sharded by hash(a, b) becomes sharded by range(a, b)" },
        { "unsharded, tried", "t", "unsharded", NULL, true, ERR_OK, "",
          "table t: sharded by hash(a, b) becomes unsharded" },
        { "no such table", "x", "unsharded", NULL, true, ERR_NOT_FOUND, "UNKNOWN_TABLE", NULL },
};

START_TEST(tells_what_would_change)
{
        Shoal__V1__ApplyVSchemaRequest rq = SHOAL__V1__APPLY_VSCHEMA_REQUEST__INIT;
        Shoal__V1__VSchema v = SHOAL__V1__VSCHEMA__INIT;
        Shoal__V1__VSchema__TablesEntry entry = SHOAL__V1__VSCHEMA__TABLES_ENTRY__INIT;
        Shoal__V1__VSchema__TablesEntry *entries[] = { &entry };
        Shoal__V1__TableSharding sharding = SHOAL__V1__TABLE_SHARDING__INIT;
        Shoal__V1__ColumnVindex by = SHOAL__V1__COLUMN_VINDEX__INIT;
        Shoal__V1__ColumnVindex *all[] = { &by };
        char a_name[] = "a", b_name[] = "b";
        char *columns[] = { a_name, b_name };
        const Shoal__V1__ApplyVSchemaResponse *reply;
        struct fx_answer a;

        add_table("t", "sharded", "hash", "a");
        by.vindex = (char *)(uintptr_t)documents[_i].vindex;
        by.columns = columns;
        by.n_columns = 2;
        sharding.type = (char *)(uintptr_t)documents[_i].type;
        sharding.vindexes = all;
        sharding.n_vindexes = by.vindex ? 1 : 0;
        entry.key = (char *)(uintptr_t)documents[_i].table;
        entry.value = &sharding;
        v.tables = entries;
        v.n_tables = 1;
        rq.vschema = &v;
        rq.dry_run = documents[_i].dry_run;
        a = fx_call(&vschema_apply, &rq.base, &shoal__v1__apply_vschema_response__descriptor);
        ck_assert_msg(a.err.code == documents[_i].want &&
                          !strcmp(a.err.reason, documents[_i].reason),
                      "%s: %s %s", documents[_i].label, err_code_name(a.err.code), a.err.reason);
        if (a.err.code)
                return;
        reply = (Shoal__V1__ApplyVSchemaResponse *)a.reply;
        ck_assert_uint_eq(reply->n_changes, documents[_i].change ? 1 : 0);
        if (documents[_i].change)
                ck_assert_str_eq(reply->changes[0], documents[_i].change);
        ck_assert_str_eq(reply->vschema->tables[0]->key, "t");
        fx_done(&a);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("topo/vschema");
        TCase *t = tcase_create("vschema");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, set_up, fx_stop);
        tcase_add_test(t, follows_the_tables);
        tcase_add_loop_test(t, tells_what_would_change, 0, ARRAY_LEN(documents));
        suite_add_tcase(s, t);
        return unit_run(s);
}
