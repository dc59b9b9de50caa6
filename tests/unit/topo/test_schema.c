/* Schema changes: begun, ended, taken over. */
#include "tests/unit/topo/fixture.h"
#include "topo/keys.h"

#define PENDING SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_PENDING
#define UNDOING SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_UNDOING
#define DONE SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_DONE
#define UNDONE SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_UNDONE
#define NONE SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_UNSPECIFIED

static uint64_t keyspace, epoch;

static void set_up(void)
{
        fx_start();
        fx_tablet("t0");
        epoch = fx_gate("g0", 1);
        keyspace = fx_keyspace("main");
}

static void assert_change(struct fx_answer *a, const char *id, uint64_t version,
                          Shoal__V1__SchemaChangeState state, const char *gate)
{
        const Shoal__V1__SchemaChange *change;

        fx_assert_ok(a);
        change = (Shoal__V1__SchemaChange *)a->reply;
        ck_assert_str_eq(change->id, id);
        ck_assert_uint_eq(change->version, version);
        ck_assert_int_eq(change->state, state);
        ck_assert_str_eq(change->gate, gate);
        ck_assert_uint_eq(change->keyspace_id, keyspace);
        fx_done(a);
}

static struct fx_answer get(const char *gate, uint64_t gate_epoch, bool take_over)
{
        Shoal__V1__GetSchemaChangeRequest rq = SHOAL__V1__GET_SCHEMA_CHANGE_REQUEST__INIT;

        rq.keyspace_id = keyspace;
        rq.take_over = take_over;
        rq.gate = (char *)(uintptr_t)gate;
        rq.gate_epoch = gate_epoch;
        return fx_call(&schema_get, &rq.base, &shoal__v1__schema_change__descriptor);
}

/* "version: table …; object on table …;" */
static void assert_schema(const char *want)
{
        Shoal__V1__Topology *t = fx_topology();
        const Shoal__V1__Keyspace *ks = t->keyspaces[0];
        struct buf b = BUF_INIT(0);
        cleanup_(freep) char *got = NULL;

        buf_printf(&b, "%llu:", (unsigned long long)ks->schema_version);
        for (size_t i = 0; i < ks->n_tables; i++)
                buf_printf(&b, " %s", ks->tables[i]->name);
        for (size_t i = 0; i < ks->n_objects; i++)
                buf_printf(&b, "; %s on %s", ks->objects[i]->name, ks->objects[i]->table);
        got = buf_take_str(&b);
        ck_assert_str_eq(got, want);
        shoal__v1__topology__free_unpacked(t, NULL);
}

static Shoal__V1__BeginSchemaChangeRequest request(uint64_t version)
{
        static char gate[] = "g0";
        Shoal__V1__BeginSchemaChangeRequest rq = SHOAL__V1__BEGIN_SCHEMA_CHANGE_REQUEST__INIT;

        rq.keyspace_id = keyspace;
        rq.expected_version = version;
        rq.gate = gate;
        rq.gate_epoch = epoch;
        return rq;
}

static struct fx_answer begin(const Shoal__V1__BeginSchemaChangeRequest *rq)
{
        return fx_call(&schema_begin, &rq->base, &shoal__v1__schema_change__descriptor);
}

/* Begins rq and brings it to state. */
static void apply(const Shoal__V1__BeginSchemaChangeRequest *rq, Shoal__V1__SchemaChangeState state)
{
        struct fx_answer begun = begin(rq), ended;
        const char *id;

        fx_assert_ok(&begun);
        id = ((Shoal__V1__SchemaChange *)begun.reply)->id;
        if (state == UNDONE) {
                ended = fx_end(keyspace, id, "g0", epoch, UNDOING);
                fx_assert_ok(&ended);
                fx_done(&ended);
        }
        ended = fx_end(keyspace, id, "g0", epoch, state);
        fx_assert_ok(&ended);
        fx_done(&ended);
        fx_done(&begun);
}

/* ---------------------------------------------------------------- states */

START_TEST(done_publishes)
{
        struct fx_answer a = fx_begin(keyspace, 0, "g0", epoch, "t");
        uint64_t version;

        assert_change(&a, "1.1", 1, PENDING, "g0");
        assert_schema("0:");
        version = topo_version(fx.topo);
        a = fx_end(keyspace, "1.1", "g0", epoch, DONE);
        assert_change(&a, "1.1", 1, DONE, "g0");
        assert_schema("1: t");
        ck_assert_uint_gt(topo_version(fx.topo), version);
        a = get("", 0, false);
        assert_change(&a, "", 0, NONE, "");
}
END_TEST

START_TEST(undone_leaves_nothing)
{
        struct fx_answer a = fx_begin(keyspace, 0, "g0", epoch, "t");
        uint64_t version = topo_version(fx.topo);

        fx_done(&a);
        a = fx_end(keyspace, "1.1", "g0", epoch, UNDOING);
        assert_change(&a, "1.1", 1, UNDOING, "g0");
        a = get("", 0, false);
        assert_change(&a, "1.1", 1, UNDOING, "g0");
        a = fx_end(keyspace, "1.1", "g0", epoch, UNDONE);
        assert_change(&a, "1.1", 1, UNDONE, "g0");
        assert_schema("0:");
        ck_assert_uint_eq(topo_version(fx.topo), version);
        a = fx_begin(keyspace, 0, "g0", epoch, "t");
        assert_change(&a, "1.2", 1, PENDING, "g0");
}
END_TEST

/* From each state to each: may it? */
static const struct {
        const char *label;
        Shoal__V1__SchemaChangeState from, to;
        bool ok;
} moves[] = {
        { "pending to pending", PENDING, PENDING, true },
        { "pending to undoing", PENDING, UNDOING, true },
        { "pending to done", PENDING, DONE, true },
        { "pending to undone", PENDING, UNDONE, false },
        { "pending to none", PENDING, NONE, false },
        { "pending to no state", PENDING, (Shoal__V1__SchemaChangeState)77, false },
        { "undoing to pending", UNDOING, PENDING, false },
        { "undoing to undoing", UNDOING, UNDOING, true },
        { "undoing to done", UNDOING, DONE, false },
        { "undoing to undone", UNDOING, UNDONE, true },
        { "done to pending", DONE, PENDING, false },
        { "done to undoing", DONE, UNDOING, false },
        { "done to done", DONE, DONE, true },
        { "done to undone", DONE, UNDONE, false },
        { "undone to pending", UNDONE, PENDING, false },
        { "undone to undoing", UNDONE, UNDOING, false },
        { "undone to done", UNDONE, DONE, false },
        { "undone to undone", UNDONE, UNDONE, true },
};

static void move(Shoal__V1__SchemaChangeState to)
{
        struct fx_answer a = fx_end(keyspace, "1.1", "g0", epoch, to);

        assert_change(&a, "1.1", 1, to, "g0");
}

START_TEST(only_the_arrows_are_walked)
{
        struct fx_answer a = fx_begin(keyspace, 0, "g0", epoch, "t");

        fx_assert_ok(&a);
        fx_done(&a);
        if (moves[_i].from == UNDOING || moves[_i].from == UNDONE)
                move(UNDOING);
        if (moves[_i].from == UNDONE || moves[_i].from == DONE)
                move(moves[_i].from);
        a = fx_end(keyspace, "1.1", "g0", epoch, moves[_i].to);
        ck_assert_msg(a.err.code == (moves[_i].ok ? ERR_OK : ERR_PRECONDITION), "%s: %s",
                      moves[_i].label, err_code_name(a.err.code));
        fx_done(&a);
        assert_schema((moves[_i].ok ? moves[_i].to : moves[_i].from) == DONE ? "1: t" : "0:");
}
END_TEST

START_TEST(repeating_is_harmless)
{
        struct fx_answer a = fx_begin(keyspace, 0, "g0", epoch, "t");

        fx_assert_ok(&a);
        fx_done(&a);
        a = fx_begin(keyspace, 0, "g0", epoch, "t");
        assert_change(&a, "1.1", 1, PENDING, "g0");
        a = fx_begin(keyspace, 0, "g0", epoch, "u");
        fx_assert_failed(&a, ERR_ABORTED, "SCHEMA_CHANGE_PENDING");
        for (int i = 0; i < 3; i++) {
                a = fx_end(keyspace, "1.1", "g0", epoch, DONE);
                assert_change(&a, "1.1", 1, DONE, "g0");
        }
        assert_schema("1: t");
        /* Also when others have followed, and after a restart. */
        fx_table(keyspace, 1, "g0", epoch, "u");
        fx_restart();
        a = fx_end(keyspace, "1.1", "g0", epoch, DONE);
        assert_change(&a, "1.1", 1, DONE, "g0");
        assert_schema("2: t u");
}
END_TEST

START_TEST(one_at_a_time)
{
        uint64_t other = fx_gate("g1", 1);
        struct fx_answer a = fx_begin(keyspace, 0, "g0", epoch, "t");

        fx_assert_ok(&a);
        fx_done(&a);
        a = fx_begin(keyspace, 0, "g1", other, "t");
        ck_assert_ptr_nonnull(strstr(a.err.msg, "1.1"));
        fx_assert_failed(&a, ERR_ABORTED, "SCHEMA_CHANGE_PENDING");
        move(UNDOING);
        a = fx_begin(keyspace, 0, "g1", other, "t");
        fx_assert_failed(&a, ERR_ABORTED, "SCHEMA_CHANGE_PENDING");
        a = fx_end(keyspace, "1.1", "g1", other, UNDONE);
        fx_assert_failed(&a, ERR_PRECONDITION, "NOT_THE_DRIVER");
        move(UNDONE);
        a = fx_begin(keyspace, 1, "g1", other, "t");
        fx_assert_failed(&a, ERR_ABORTED, "SCHEMA_CHANGED");
        a = fx_begin(keyspace, 0, "g1", other, "t");
        assert_change(&a, "1.2", 1, PENDING, "g1");
}
END_TEST

START_TEST(two_at_once_are_one)
{
        Shoal__V1__BeginSchemaChangeRequest rq = request(0);
        Shoal__V1__Table t = SHOAL__V1__TABLE__INIT;
        char names[2][2] = { "a", "b" };
        struct fx_answer a[2];

        rq.put_table = &t;
        for (int i = 0; i < 2; i++) {
                t.name = names[i];
                fx_send(&schema_begin, &rq.base, &shoal__v1__schema_change__descriptor, &a[i]);
        }
        fx_wait(&a[0]);
        fx_wait(&a[1]);
        assert_change(&a[0], "1.1", 1, PENDING, "g0");
        fx_assert_failed(&a[1], ERR_ABORTED, "SCHEMA_CHANGE_PENDING");
}
END_TEST

/* ---------------------------------------------------------------- drivers */

START_TEST(another_gate_takes_over_when_the_lease_has_ended)
{
        uint64_t other = fx_gate("g1", 1);
        struct fx_answer a = fx_begin(keyspace, 0, "g0", epoch, "t");

        fx_assert_ok(&a);
        fx_done(&a);
        a = get("g1", other, true);
        fx_assert_failed(&a, ERR_UNAVAILABLE, "SCHEMA_CHANGE_PENDING");
        a = get("g0", epoch, true);
        assert_change(&a, "1.1", 1, PENDING, "g0");
        fx_pass_ms(LEASE_MS - 1);
        ck_assert_uint_eq(fx_gate("g1", 1), other);
        fx_pass_ms(2);
        a = get("g1", other, false);
        assert_change(&a, "1.1", 1, PENDING, "g0");
        a = get("g1", other, true);
        assert_change(&a, "1.1", 1, PENDING, "g1");
        /* The gate before has come back; it has nothing to say any more. */
        a = fx_end(keyspace, "1.1", "g0", fx_gate("g0", 1), DONE);
        fx_assert_failed(&a, ERR_PRECONDITION, "NOT_THE_DRIVER");
        a = fx_end(keyspace, "1.1", "g0", epoch, DONE);
        fx_assert_failed(&a, ERR_PRECONDITION, "NOT_THE_DRIVER");
        a = fx_end(keyspace, "1.1", "g1", other, DONE);
        assert_change(&a, "1.1", 1, DONE, "g1");
        assert_schema("1: t");
}
END_TEST

START_TEST(a_restarted_gate_takes_over_from_itself)
{
        struct fx_answer a = fx_begin(keyspace, 0, "g0", epoch, "t");
        uint64_t second = fx_gate("g0", 2);

        fx_done(&a);
        a = fx_end(keyspace, "1.1", "g0", second, DONE);
        fx_assert_failed(&a, ERR_PRECONDITION, "NOT_THE_DRIVER");
        a = fx_end(keyspace, "1.1", "g0", epoch, DONE);
        fx_assert_failed(&a, ERR_UNAVAILABLE, "GATE_LEASE_ENDED");
        a = get("g0", second, true);
        assert_change(&a, "1.1", 1, PENDING, "g0");
        a = fx_end(keyspace, "1.1", "g0", second, DONE);
        assert_change(&a, "1.1", 1, DONE, "g0");
}
END_TEST

START_TEST(strangers_change_nothing)
{
        struct fx_answer a = fx_begin(keyspace, 0, "nobody", 1, "t");

        fx_assert_failed(&a, ERR_UNAVAILABLE, "GATE_LEASE_ENDED");
        a = fx_begin(keyspace, 0, "g0", epoch + 1, "t");
        fx_assert_failed(&a, ERR_UNAVAILABLE, "GATE_LEASE_ENDED");
        a = fx_begin(77, 0, "g0", epoch, "t");
        fx_assert_failed(&a, ERR_NOT_FOUND, "UNKNOWN_KEYSPACE");
        a = fx_end(keyspace, "1.1", "g0", epoch, DONE);
        fx_assert_failed(&a, ERR_NOT_FOUND, "UNKNOWN_SCHEMA_CHANGE");
        a = fx_begin(keyspace, 0, "g0", epoch, "t");
        fx_assert_ok(&a);
        fx_done(&a);
        a = get("nobody", 1, true);
        fx_assert_failed(&a, ERR_UNAVAILABLE, "GATE_LEASE_ENDED");
        keyspace = 77;
        a = get("g0", epoch, false);
        fx_assert_failed(&a, ERR_NOT_FOUND, "UNKNOWN_KEYSPACE");
}
END_TEST

START_TEST(pending_survives_a_restart)
{
        struct fx_answer a = fx_begin(keyspace, 0, "g0", epoch, "t");

        fx_done(&a);
        fx_restart();
        a = get("", 0, false);
        assert_change(&a, "1.1", 1, PENDING, "g0");
        a = fx_end(keyspace, "1.1", "g0", epoch, DONE);
        assert_change(&a, "1.1", 1, DONE, "g0");
        fx_restart();
        assert_schema("1: t");
}
END_TEST

/* ---------------------------------------------------------------- the catalogue */

START_TEST(catalogue_follows)
{
        char create[] = "t", upper[] = "T", index[] = "i", index_upper[] = "I", second[] = "j";
        Shoal__V1__Table table = SHOAL__V1__TABLE__INIT;
        Shoal__V1__SchemaObject object = SHOAL__V1__SCHEMA_OBJECT__INIT;
        Shoal__V1__BeginSchemaChangeRequest rq;

        fx_table(keyspace, 0, "g0", epoch, "keep");
        table.name = create;
        rq = request(1);
        rq.put_table = &table;
        apply(&rq, DONE);
        object.name = index;
        object.table = upper;
        rq = request(2);
        rq.put_object = &object;
        apply(&rq, DONE);
        assert_schema("3: keep t; i on T");
        object.name = second;
        rq = request(3);
        rq.put_object = &object;
        rq.drop_object = index_upper;
        apply(&rq, DONE);
        assert_schema("4: keep t; j on T");
        rq = request(4);
        rq.drop_object = second;
        apply(&rq, UNDONE);
        assert_schema("4: keep t; j on T");
        rq = request(4);
        rq.drop_table = upper;
        apply(&rq, DONE);
        assert_schema("5: keep");
}
END_TEST

/* What came with which version; what takes another's place keeps its place. */
START_TEST(order_of_creation_is_kept)
{
        char t[] = "t", u[] = "u", view[] = "view", v[] = "v";
        Shoal__V1__Table table = SHOAL__V1__TABLE__INIT;
        Shoal__V1__SchemaObject object = SHOAL__V1__SCHEMA_OBJECT__INIT;
        Shoal__V1__BeginSchemaChangeRequest rq = request(0);
        Shoal__V1__Topology *topology;

        object.type = view;
        object.name = object.table = v;
        rq.put_object = &object;
        apply(&rq, DONE);
        table.name = u;
        rq = request(1);
        rq.put_table = &table;
        apply(&rq, DONE);
        table.name = t;
        rq = request(2);
        rq.put_table = &table;
        apply(&rq, DONE);
        rq = request(3);
        rq.put_table = &table;
        rq.drop_table = t;
        apply(&rq, DONE);
        rq = request(4);
        rq.put_object = &object;
        apply(&rq, DONE);
        rq = request(5);
        rq.drop_table = u;
        apply(&rq, DONE);
        table.name = u;
        rq = request(6);
        rq.put_table = &table;
        apply(&rq, DONE);
        topology = fx_topology();
        ck_assert_uint_eq(topology->keyspaces[0]->objects[0]->created, 1);
        ck_assert_str_eq(topology->keyspaces[0]->tables[0]->name, "t");
        ck_assert_uint_eq(topology->keyspaces[0]->tables[0]->created, 3);
        ck_assert_str_eq(topology->keyspaces[0]->tables[1]->name, "u");
        ck_assert_uint_eq(topology->keyspaces[0]->tables[1]->created, 7);
        shoal__v1__topology__free_unpacked(topology, NULL);
}
END_TEST

START_TEST(a_table_may_be_replaced)
{
        char name[] = "t", sql[] = "CREATE TABLE t(a, b)", index[] = "i", second[] = "j";
        Shoal__V1__Table table = SHOAL__V1__TABLE__INIT;
        Shoal__V1__SchemaObject object = SHOAL__V1__SCHEMA_OBJECT__INIT;
        Shoal__V1__BeginSchemaChangeRequest rq;
        Shoal__V1__Topology *t;

        fx_table(keyspace, 0, "g0", epoch, "t");
        object.name = index;
        object.table = name;
        rq = request(1);
        rq.put_object = &object;
        apply(&rq, DONE);
        table.name = name;
        table.sql = sql;
        rq = request(2);
        rq.put_table = &table;
        apply(&rq, DONE);
        assert_schema("3: t; i on t");
        t = fx_topology();
        ck_assert_str_eq(t->keyspaces[0]->tables[0]->sql, sql);
        shoal__v1__topology__free_unpacked(t, NULL);
        /* Dropped and made anew in one change: its indexes are gone, but for the one made anew too.
         */
        rq = request(3);
        rq.drop_table = name;
        rq.put_table = &table;
        apply(&rq, DONE);
        assert_schema("4: t");
        rq = request(4);
        rq.put_object = &object;
        apply(&rq, DONE);
        object.name = second;
        rq = request(5);
        rq.put_object = &object;
        apply(&rq, DONE);
        assert_schema("6: t; i on t; j on t");
        rq = request(6);
        rq.drop_table = name;
        rq.put_table = &table;
        rq.put_object = &object;
        apply(&rq, DONE);
        assert_schema("7: t; j on t");
}
END_TEST

/* Names are unique in a keyspace, so what is new takes the place of what had its name. */
START_TEST(an_object_may_move_to_another_table)
{
        char i[] = "i", upper[] = "I", t[] = "t", u[] = "u";
        Shoal__V1__SchemaObject object = SHOAL__V1__SCHEMA_OBJECT__INIT;
        Shoal__V1__BeginSchemaChangeRequest rq;

        fx_table(keyspace, 0, "g0", epoch, "t");
        fx_table(keyspace, 1, "g0", epoch, "u");
        object.name = i;
        object.table = t;
        rq = request(2);
        rq.put_object = &object;
        apply(&rq, DONE);
        object.name = upper;
        object.table = u;
        rq = request(3);
        rq.put_object = &object;
        rq.drop_object = i;
        apply(&rq, DONE);
        assert_schema("4: t u; I on u");
        object.table = t;
        rq = request(4);
        rq.put_object = &object;
        apply(&rq, DONE);
        assert_schema("5: t u; I on t");
        rq = request(5);
        rq.drop_table = t;
        rq.drop_object = i;
        apply(&rq, DONE);
        assert_schema("6: u");
}
END_TEST

static const struct {
        const char *label, *put_table, *drop_table, *put_object, *on, *drop_object;
        enum err_code want;
        const char *reason;
} contents[] = {
        { "nothing", .want = ERR_INVALID, .reason = "BAD_SCHEMA_CHANGE" },
        { "table without a name", .put_table = "", .want = ERR_INVALID, .reason = "BAD_NAME" },
        { "index without a name", .put_object = "", .on = "t", .want = ERR_INVALID,
          .reason = "BAD_NAME" },
        { "index of no table", .put_object = "i", .on = "", .want = ERR_INVALID,
          .reason = "BAD_NAME" },
        { "unknown table dropped", .drop_table = "nope", .want = ERR_NOT_FOUND,
          .reason = "UNKNOWN_TABLE" },
        { "unknown index dropped", .drop_object = "nope", .want = ERR_NOT_FOUND,
          .reason = "UNKNOWN_OBJECT" },
        { "strange name", .put_table = "a/b c%\"\xc3\xa4\n", .want = ERR_OK, .reason = "" },
        { "strange index", .put_object = "/%2f", .on = "/", .want = ERR_OK, .reason = "" },
};

START_TEST(contents_are_checked)
{
        Shoal__V1__BeginSchemaChangeRequest rq = request(1);
        Shoal__V1__Table table = SHOAL__V1__TABLE__INIT;
        Shoal__V1__SchemaObject object = SHOAL__V1__SCHEMA_OBJECT__INIT;
        struct fx_answer a;

        fx_table(keyspace, 0, "g0", epoch, "t");
        table.name = (char *)(uintptr_t)contents[_i].put_table;
        object.name = (char *)(uintptr_t)contents[_i].put_object;
        object.table = (char *)(uintptr_t)contents[_i].on;
        rq.put_table = table.name ? &table : NULL;
        rq.put_object = object.name ? &object : NULL;
        if (contents[_i].drop_table)
                rq.drop_table = (char *)(uintptr_t)contents[_i].drop_table;
        if (contents[_i].drop_object)
                rq.drop_object = (char *)(uintptr_t)contents[_i].drop_object;
        a = begin(&rq);
        ck_assert_msg(a.err.code == contents[_i].want && !strcmp(a.err.reason, contents[_i].reason),
                      "%s: %s %s", contents[_i].label, err_code_name(a.err.code), a.err.reason);
        if (!a.err.code) {
                struct fx_answer ended =
                    fx_end(keyspace, ((Shoal__V1__SchemaChange *)a.reply)->id, "g0", epoch, DONE);

                fx_assert_ok(&ended);
                fx_done(&ended);
        }
        fx_done(&a);
}
END_TEST

static char *text_of(size_t n)
{
        char *s = xmalloc(n + 1);

        memset(s, 'x', n);
        s[n] = '\0';
        return s;
}

START_TEST(there_are_limits)
{
        Shoal__V1__BeginSchemaChangeRequest rq = request(0);
        Shoal__V1__Table table = SHOAL__V1__TABLE__INIT;
        cleanup_(freep) char *name = text_of(256);
        cleanup_(freep) char *sql = text_of(1 << 20);
        struct fx_answer a;
        size_t n;

        rq.put_table = &table;
        table.name = name;
        a = begin(&rq);
        fx_assert_failed(&a, ERR_INVALID, "BAD_NAME");
        name[255] = '\0';
        rq.sql = sql;
        sql[(1 << 20) - 300] = '\0';
        n = shoal__v1__begin_schema_change_request__get_packed_size(&rq);
        sql[(1 << 20) - 300] = 'x';
        sql[(1 << 20) - 300 + (1 << 20) - n + 1] = '\0';
        a = begin(&rq);
        fx_assert_failed(&a, ERR_EXHAUSTED, "TOPO_LIMIT");
        sql[(1 << 20) - 300 + (1 << 20) - n] = '\0';
        apply(&rq, DONE);
}
END_TEST

/* Writes n tables of n_bytes of SQL each into the store, past all rules. */
static void put_tables(unsigned first, unsigned n, size_t n_bytes)
{
        cleanup_(freep) char *sql = text_of(n_bytes);
        unsigned per_txn = n_bytes > 100000 ? 1 : 100;
        Shoal__V1__Table table = SHOAL__V1__TABLE__INIT;
        char name[16];

        table.name = name;
        table.sql = sql;
        for (unsigned i = 0; i < n; i += per_txn) {
                struct store_txn *x = store_txn_new();

                for (unsigned j = i; j < n && j < i + per_txn; j++) {
                        snprintf(name, sizeof name, "x%u", first + j);
                        op_put(x, key_table(keyspace, name).s, &table.base, 0);
                }
                store_commit(fx.store, x, NULL, NULL);
        }
        fx_settle();
        ck_assert_uint_ge(catalog_count(fx.topo->catalog, "table/"), n);
}

START_TEST(a_keyspace_has_so_many_tables)
{
        struct fx_answer a;

        put_tables(0, TOPO_MAX_RELATIONS - 1, 10);
        fx_table(keyspace, 0, "g0", epoch, "last");
        a = fx_begin(keyspace, 1, "g0", epoch, "another");
        fx_assert_failed(&a, ERR_EXHAUSTED, "TOPO_LIMIT");
}
END_TEST

static size_t topology_bytes(void)
{
        Shoal__V1__Topology *t = fx_topology();
        size_t n = shoal__v1__topology__get_packed_size(t);

        shoal__v1__topology__free_unpacked(t, NULL);
        return n;
}

START_TEST(a_topology_is_so_large)
{
        struct fx_answer a;

        put_tables(0, 47, 1 << 20);
        fx_table(keyspace, 0, "g0", epoch, "small");
        put_tables(47, 1, TOPO_MAX_TOPOLOGY_BYTES - topology_bytes() - 40);
        ck_assert_uint_le(topology_bytes(), TOPO_MAX_TOPOLOGY_BYTES);
        a = fx_begin(keyspace, 1, "g0", epoch, "another");
        fx_assert_failed(&a, ERR_EXHAUSTED, "TOPO_LIMIT");
        a = fx_create("another", 1, "");
        fx_assert_failed(&a, ERR_EXHAUSTED, "TOPO_LIMIT");
}
END_TEST

START_TEST(ended_changes_are_forgotten_late)
{
        char table[16];
        struct fx_answer a;

        for (uint64_t i = 0; i < 264; i++) {
                snprintf(table, sizeof table, "t%d", (int)i);
                fx_table(keyspace, i, "g0", epoch, table);
        }
        ck_assert_uint_eq(catalog_count(fx.topo->catalog, "change/"), 256);
        a = fx_end(keyspace, "1.9", "g0", epoch, DONE);
        assert_change(&a, "1.9", 9, DONE, "g0");
        a = fx_end(keyspace, "1.8", "g0", epoch, DONE);
        fx_assert_failed(&a, ERR_NOT_FOUND, "UNKNOWN_SCHEMA_CHANGE");
}
END_TEST

static Shoal__V1__BeginSchemaChangeRequest create(uint64_t version, Shoal__V1__Table *table,
                                                  const char *request_id, const char *digest)
{
        Shoal__V1__BeginSchemaChangeRequest rq = request(version);

        rq.put_table = table;
        rq.request_id = (char *)(uintptr_t)request_id;
        rq.request_digest = (ProtobufCBinaryData){ strlen(digest), (uint8_t *)(uintptr_t)digest };
        return rq;
}

static struct fx_answer get_by_request(const char *request_id, const char *digest)
{
        Shoal__V1__GetSchemaChangeRequest rq = SHOAL__V1__GET_SCHEMA_CHANGE_REQUEST__INIT;

        rq.keyspace_id = keyspace;
        rq.request_id = (char *)(uintptr_t)request_id;
        rq.request_digest = (ProtobufCBinaryData){ strlen(digest), (uint8_t *)(uintptr_t)digest };
        return fx_call(&schema_get, &rq.base, &shoal__v1__schema_change__descriptor);
}

START_TEST(done_once_for_a_request_id)
{
        char name[] = "t", sql[] = "CREATE TABLE t (a)";
        Shoal__V1__Table table = SHOAL__V1__TABLE__INIT;
        Shoal__V1__BeginSchemaChangeRequest rq;
        struct fx_answer a;

        table.name = name;
        table.sql = sql;
        rq = create(0, &table, "r", "digest");
        apply(&rq, UNDONE);
        a = get_by_request("r", "digest");
        assert_change(&a, "", 0, NONE, ""); /* it has not been done */
        a = begin(&rq);
        assert_change(&a, "1.2", 1, PENDING, "g0");
        a = get_by_request("r", "digest");
        assert_change(&a, "", 0, NONE, "");
        a = fx_end(keyspace, "1.2", "g0", epoch, DONE);
        assert_change(&a, "1.2", 1, DONE, "g0");

        /* At any version, from any gate. */
        a = begin(&rq);
        assert_change(&a, "1.2", 1, DONE, "g0");
        rq.expected_version = 7;
        rq.gate_epoch = fx_gate("g1", 2);
        rq.gate = (char *)(uintptr_t) "g1";
        a = begin(&rq);
        assert_change(&a, "1.2", 1, DONE, "g0");
        a = get_by_request("r", "digest");
        assert_change(&a, "1.2", 1, DONE, "g0");
        assert_schema("1: t");

        /* Not for what is not the same. */
        rq = create(1, &table, "r", "other");
        a = begin(&rq);
        fx_assert_failed(&a, ERR_INVALID, "REQUEST_ID_REUSED");
        a = get_by_request("r", "other");
        fx_assert_failed(&a, ERR_INVALID, "REQUEST_ID_REUSED");
        a = get_by_request("q", "digest");
        assert_change(&a, "", 0, NONE, "");
        rq = create(1, &table, "", "digest");
        a = begin(&rq);
        assert_change(&a, "1.3", 2, PENDING, "g0");
}
END_TEST

int main(void)
{
        Suite *s = suite_create("topo/schema");
        TCase *t = tcase_create("schema");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, set_up, fx_stop);
        tcase_add_test(t, done_publishes);
        tcase_add_test(t, undone_leaves_nothing);
        tcase_add_loop_test(t, only_the_arrows_are_walked, 0, ARRAY_LEN(moves));
        tcase_add_test(t, repeating_is_harmless);
        tcase_add_test(t, one_at_a_time);
        tcase_add_test(t, two_at_once_are_one);
        tcase_add_test(t, another_gate_takes_over_when_the_lease_has_ended);
        tcase_add_test(t, a_restarted_gate_takes_over_from_itself);
        tcase_add_test(t, strangers_change_nothing);
        tcase_add_test(t, pending_survives_a_restart);
        tcase_add_test(t, catalogue_follows);
        tcase_add_test(t, order_of_creation_is_kept);
        tcase_add_test(t, a_table_may_be_replaced);
        tcase_add_test(t, an_object_may_move_to_another_table);
        tcase_add_loop_test(t, contents_are_checked, 0, ARRAY_LEN(contents));
        tcase_add_test(t, there_are_limits);
        tcase_add_test(t, a_keyspace_has_so_many_tables);
        tcase_add_test(t, a_topology_is_so_large);
        tcase_add_test(t, ended_changes_are_forgotten_late);
        tcase_add_test(t, done_once_for_a_request_id);
        suite_add_tcase(s, t);
        return unit_run(s);
}
