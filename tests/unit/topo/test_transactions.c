/* How transactions over several shards ended: decided once, told to all, forgotten by the rules. */
#include "common/metrics.h"
#include "tests/unit/topo/txn_calls.h"
#include "topo/keys.h"

static uint64_t epoch;

static void set_up(void)
{
        fx_start();
        fx_tablet("t0");
        epoch = fx_gate("g0", 1);
        fx_keyspace("main");
}

static void end_gate(void)
{
        fx_pass_ms(LEASE_MS + 1);
}

/* Time passes, and the gate goes on beating. */
static void pass_with_gate(uint64_t ms)
{
        for (uint64_t at = 0; at < ms; at += HEARTBEAT_MS) {
                fx_pass_ms(HEARTBEAT_MS);
                ck_assert_uint_eq(fx_gate("g0", 1), epoch);
        }
}

static size_t n_stored;

static void count_items(void *arg, const struct store_result *result)
{
        ck_assert(!result->err->code);
        n_stored = result->n_items;
        *(bool *)arg = true;
}

/* Of keys in the store. */
static size_t count_keys(const char *prefix)
{
        bool done = false;

        store_list(fx.store, prefix, count_items, &done);
        loop_run_until(fx.loop, &done);
        return n_stored;
}

/* ---------------------------------------------------------------- deciding */

START_TEST(the_first_decision_stands)
{
        assert_told(find_record(epoch, 1), PREPARING, 0);
        assert_told(decide("g0", "", epoch, 1, 77, 0), COMMITTED, 77);
        assert_told(decide("g0", "", epoch, 1, 0, 0), COMMITTED, 77);
        assert_told(decide("g0", "", epoch, 1, 99, 0), COMMITTED, 77);
        assert_told(decide("", "t0", epoch, 1, 0, 0), COMMITTED, 77);
        assert_told(find_record(epoch, 1), COMMITTED, 77);
        assert_told(decide("", "t0", epoch, 2, 0, 0), ABORTED, 0);
        assert_told(decide("g0", "", epoch, 2, 5, 0), ABORTED, 0);
        assert_told(decide("g0", "", epoch, 3, 0, 0), ABORTED, 0);
        assert_told(find_record(epoch, 3), ABORTED, 0);
        fx_restart();
        assert_told(decide("g0", "", epoch, 1, 0, 0), COMMITTED, 77);
        assert_told(decide("g0", "", epoch, 2, 5, 0), ABORTED, 0);
}
END_TEST

START_TEST(a_gate_without_its_lease_commits_nothing)
{
        assert_told(decide("g0", "", epoch, 1, 77, 0), COMMITTED, 77);
        end_gate();
        assert_told(decide("g0", "", epoch, 2, 5, 0), FORGOTTEN, 0);
        assert_told(decide("g0", "", epoch, 1, 0, 0), COMMITTED, 77);
        /* Who holds redo of it knows now that it is aborted. */
        assert_told(decide("", "t0", epoch, 2, 0, 0), ABORTED, 0);
        assert_told(report_prepared(epoch, 2, "1/-80", 5), ABORTED, 0);
        assert_told(report_prepared(epoch, 1, "1/-80", 5), COMMITTED, 77);
        /* The gate comes back with another epoch, and the old one stays closed. */
        ck_assert_uint_gt(fx_gate("g0", 1), epoch);
        assert_told(decide("g0", "", epoch, 3, 5, 0), FORGOTTEN, 0);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTIONS), 1);
}
END_TEST

/* The lease ends, or another process decides, between looking and writing. */
START_TEST(what_comes_first_in_the_store_counts)
{
        struct ask ask = { epoch, 1, true, 77 };
        Shoal__V1__DecisionRecord other = SHOAL__V1__DECISION_RECORD__INIT;
        struct store_txn *x = store_txn_new();
        struct fx_answer a;

        other.start = start_of(1);
        other.state = TXN_STATE(ABORTED);
        op_put(x, key_transaction(epoch, 1).s, &other.base, 0);
        store_commit(fx.store, x, NULL, NULL);
        send_decide("g0", "", &ask, 1, 0, &a);
        assert_told(take_decision(&a), ABORTED, 0);

        store_lease_revoke(fx.store, catalog_find(fx.topo->catalog, key_gate("g0").s)->lease, NULL,
                           NULL);
        ask.counter = 2;
        ck_assert(gates_is_alive(fx.topo->catalog, "g0", epoch));
        send_decide("g0", "", &ask, 1, 0, &a);
        assert_told(take_decision(&a), FORGOTTEN, 0);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTIONS), 1);
}
END_TEST

START_TEST(a_mark_closes_what_is_below)
{
        assert_told(decide("g0", "", epoch, 5, 77, 0), COMMITTED, 77);
        report_durable(epoch, 5, "1/-80");
        report_durable(epoch, 5, "1/80-");
        assert_told(decide("g0", "", epoch, 9, 0, 8), ABORTED, 0);
        pass_with_gate(KEEP_MS + 1);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTION_MARKS), 1);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTIONS), 1); /* 9 */
        fx_restart();
        for (uint64_t counter = 5; counter < 8; counter++) {
                assert_told(decide("g0", "", epoch, counter, 5, 0), FORGOTTEN, 0);
                assert_told(decide("", "t0", epoch, counter, 0, 0), ABORTED, 0);
                assert_told(find_record(epoch, counter), FORGOTTEN, 0);
        }
        assert_told(decide("g0", "", epoch, 8, 5, 0), COMMITTED, 5);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTIONS), 2);
}
END_TEST

static const struct {
        const char *label;
        const char *gate, *tablet;
        struct ask ask;
        int64_t epoch_more;
        enum err_code code;
        const char *reason;
} wrong[] = {
        { "nobody", "", "", { .counter = 1 }, 0, ERR_INVALID, "BAD_TRANSACTION" },
        { "two at once", "g0", "t0", { .counter = 1 }, 0, ERR_INVALID, "BAD_TRANSACTION" },
        { "no counter", "g0", "", { .counter = 0 }, 0, ERR_INVALID, "BAD_TRANSACTION" },
        { "a participant commits", "", "t0", { 0, 1, true, 5 }, 0, ERR_INVALID, "BAD_TRANSACTION" },
        { "no timestamp", "g0", "", { 0, 1, true, 0 }, 0, ERR_INVALID, "BAD_TRANSACTION" },
        { "another's", "g1", "", { 0, 1, true, 5 }, 0, ERR_INVALID, "BAD_TRANSACTION" },
        { "of the future", "g0", "", { 0, 1, true, 5 }, 1000, ERR_UNAVAILABLE, "STORE_BEHIND" },
        { "likewise", "", "t0", { .counter = 1 }, 1000, ERR_UNAVAILABLE, "STORE_BEHIND" },
};

START_TEST(nonsense_is_refused)
{
        struct ask ask = wrong[_i].ask;
        struct fx_answer a;

        ask.epoch = epoch + (uint64_t)wrong[_i].epoch_more;
        send_decide(wrong[_i].gate, wrong[_i].tablet, &ask, 1, 0, &a);
        fx_wait(&a);
        ck_assert_msg(a.err.code == wrong[_i].code && !strcmp(a.err.reason, wrong[_i].reason),
                      "%s: %s %s", wrong[_i].label, a.err.reason, a.err.msg);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTIONS), 0);
}
END_TEST

/* The same epoch and counter, another start: not that transaction. */
START_TEST(a_made_up_id_learns_nothing)
{
        Shoal__V1__FindTransactionRecordRequest rq =
            SHOAL__V1__FIND_TRANSACTION_RECORD_REQUEST__INIT;
        Shoal__V1__TransactionId id;
        struct fx_answer a;

        assert_told(decide("g0", "", epoch, 1, 77, 0), COMMITTED, 77);
        set_txn_id(&id, epoch, 1);
        id.start++;
        rq.id = &id;
        a = fx_call(&transactions_find, &rq.base, &shoal__v1__transaction_decision__descriptor);
        fx_assert_ok(&a);
        ck_assert_int_eq(((Shoal__V1__TransactionDecision *)a.reply)->state, TXN_STATE(FORGOTTEN));
        ck_assert_uint_eq(((Shoal__V1__TransactionDecision *)a.reply)->commit_ts, 0);
        fx_done(&a);
}
END_TEST

START_TEST(as_many_as_a_request_takes)
{
        static struct ask asks[TRANSACTIONS_MAX_ITEMS + 1];
        Shoal__V1__DecideTransactionsResponse *r;
        struct fx_answer a;

        for (size_t i = 0; i < ARRAY_LEN(asks); i++)
                asks[i] = (struct ask){ epoch, i / 2 + 1, i % 3 != 0, i % 3 ? i + 1 : 0 };
        send_decide("g0", "", asks, ARRAY_LEN(asks), 0, &a);
        fx_wait(&a);
        fx_assert_failed(&a, ERR_EXHAUSTED, "TOPO_LIMIT");
        send_decide("g0", "", asks, ARRAY_LEN(asks) - 1, 0, &a);
        fx_wait(&a);
        fx_assert_ok(&a);
        r = (Shoal__V1__DecideTransactionsResponse *)a.reply;
        ck_assert_uint_eq(r->n_decisions, ARRAY_LEN(asks) - 1);
        /* Each transaction was asked for twice: the first counts. */
        for (size_t i = 0; i < r->n_decisions; i++) {
                const struct ask *first = &asks[i & ~(size_t)1];

                ck_assert_uint_eq(r->decisions[i]->id->counter, first->counter);
                ck_assert_int_eq(r->decisions[i]->state,
                                 first->commit ? TXN_STATE(COMMITTED) : TXN_STATE(ABORTED));
                ck_assert_uint_eq(r->decisions[i]->commit_ts, first->commit_ts);
        }
        fx_done(&a);
}
END_TEST

/* ---------------------------------------------------------------- reports */

START_TEST(a_commit_is_done_when_all_have_it)
{
        assert_told(decide("g0", "", epoch, 1, 77, 0), COMMITTED, 77);
        assert_told(report_durable(epoch, 1, "1/-80"), COMMITTED, 77);
        assert_told(report_durable(epoch, 1, "1/-80"), COMMITTED, 77);
        assert_told(report_durable(epoch, 1, "7/-80"), COMMITTED, 77); /* takes no part */
        fx_restart();
        assert_told(report_durable(epoch, 1, "1/80-"), DONE, 0);
        assert_told(report_durable(epoch, 1, "1/-80"), DONE, 0);
        assert_told(find_record(epoch, 1), COMMITTED, 77);
        assert_told(decide("", "t0", epoch, 1, 0, 0), COMMITTED, 77);
}
END_TEST

START_TEST(a_commit_that_waits_is_never_forgotten)
{
        assert_told(decide("g0", "", epoch, 1, 77, 0), COMMITTED, 77);
        assert_told(report_durable(epoch, 1, "1/-80"), COMMITTED, 77);
        assert_told(decide("g0", "", epoch, 2, 0, 2), ABORTED, 0);
        pass_with_gate(2 * KEEP_MS);
        end_gate();
        fx_pass_ms(2 * KEEP_MS);
        fx_restart();
        fx_pass_ms(2 * KEEP_MS);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTIONS), 1);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTION_MARKS), 1);
        assert_told(find_record(epoch, 2), FORGOTTEN, 0);
        ck_assert(!find_record(epoch, 2).never_decided);
        ck_assert(find_record(epoch, 3).never_decided);
        assert_told(report_prepared(epoch, 1, "1/80-", 5), COMMITTED, 77);
        assert_told(report_prepared(epoch, 2, "1/80-", 5), ABORTED, 0);
        assert_told(report_durable(epoch, 1, "1/80-"), DONE, 0);
        assert_told(find_record(epoch, 1), COMMITTED, 77);
        fx_pass_ms(KEEP_MS + 1);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTIONS), 0);
        assert_told(find_record(epoch, 1), FORGOTTEN, 0);
        assert_told(report_durable(epoch, 1, "1/80-"), DONE, 0);
}
END_TEST

/* An ABORTED record in a living gate's epoch stays unless the mark has passed it. */
START_TEST(an_abort_goes_with_its_epoch)
{
        assert_told(decide("", "t0", epoch, 1, 0, 0), ABORTED, 0);
        assert_told(decide("g0", "", epoch, 2, 0, 0), ABORTED, 0);
        pass_with_gate(KEEP_MS + 1);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTIONS), 2);
        assert_told(decide("g0", "", epoch, 3, 0, 2), ABORTED, 0);
        pass_with_gate(KEEP_MS + 1);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTIONS), 2);
        assert_told(decide("g0", "", epoch, 1, 5, 0), FORGOTTEN, 0);
        assert_told(decide("g0", "", epoch, 2, 5, 0), ABORTED, 0);
        end_gate();
        fx_pass_ms(KEEP_MS);
        fx_pass_ms(KEEP_MS);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTIONS), 0);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTION_MARKS), 1);
        assert_told(decide("g0", "", epoch, 2, 5, 0), FORGOTTEN, 0);
        ck_assert(!find_record(epoch, 3).never_decided);
        ck_assert(find_record(epoch, 4).never_decided);
        assert_told(report_prepared(epoch, 2, "1/80-", 5), ABORTED, 0);
}
END_TEST

START_TEST(a_participant_does_not_wait_for_ever)
{
        assert_told(report_prepared(epoch, 1, "1/-80", 5), PREPARING, 0);
        assert_told(report_prepared(epoch, 1, "1/-80", MAX_PREPARED_MS), PREPARING, 0);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTIONS), 0);
        assert_told(report_prepared(epoch, 1, "1/-80", MAX_PREPARED_MS + 1), ABORTED, 0);
        assert_told(decide("g0", "", epoch, 1, 77, 0), ABORTED, 0);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTIONS), 1);
}
END_TEST

START_TEST(a_contradiction_is_counted)
{
        struct metric *counter = metric_counter("shoal_topo_transaction_contradictions_total", "",
                                                "Reports of a commit that topo knows as aborted, "
                                                "or not at all.");
        uint64_t before = metric_value(counter);

        log_init("test", LOG_ERROR + 1);
        assert_told(decide("g0", "", epoch, 1, 0, 0), ABORTED, 0);
        assert_told(report_durable(epoch, 1, "1/-80"), ABORTED, 0);
        assert_told(report_durable(epoch, 2, "1/-80"), PREPARING, 0);
        assert_told(find_record(epoch, 2), PREPARING, 0);
        ck_assert_uint_eq(metric_value(counter), before + 2);
}
END_TEST

/* What a gate that has died has left behind undecided stays so, and that is known for good. */
START_TEST(what_was_never_decided_is_known)
{
        uint64_t second;

        assert_told(decide("g0", "", epoch, 1, 77, 0), COMMITTED, 77);
        end_gate();
        second = fx_gate("g0", 2);
        assert_told(find_record(epoch, 1), COMMITTED, 77);
        assert_told(find_record(epoch, 2), FORGOTTEN, 0);
        ck_assert(find_record(epoch, 2).never_decided);
        ck_assert(!find_record(epoch, 1).never_decided);
        assert_told(find_record(second, 1), PREPARING, 0);
        ck_assert(!find_record(second, 1).never_decided);
        report_durable(epoch, 1, "1/-80");
        report_durable(epoch, 1, "1/80-");
        fx_pass_ms(KEEP_MS + 1);
        fx_restart();
        assert_told(find_record(epoch, 1), FORGOTTEN, 0);
        ck_assert(!find_record(epoch, 1).never_decided);
        ck_assert(find_record(epoch, 2).never_decided);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTION_MARKS), 1);
}
END_TEST

/* As if so many gates had died: the oldest epochs are forgotten as a whole. */
START_TEST(marks_have_a_limit)
{
        enum { LIMIT = 10000, MORE = 20 };
        Shoal__V1__DecisionMarkRecord mark = SHOAL__V1__DECISION_MARK_RECORD__INIT;

        mark.counter = 5;
        for (uint64_t e = 100; e < 100 + LIMIT + MORE;) {
                struct store_txn *x = store_txn_new();

                for (int i = 0; i < 100 && e < 100 + LIMIT + MORE; i++)
                        op_put(x, key_transaction_mark(e++).s, &mark.base, 0);
                store_commit(fx.store, x, NULL, NULL);
        }
        fx_settle();
        fx_pass_ms(1);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTION_MARKS), LIMIT + 1); /* and that of all */
        ck_assert_uint_gt(catalog_revision(fx.topo->catalog), 100);
        ck_assert(!find_record(100, 5).never_decided);
        ck_assert_uint_eq(fx_gate("g0", 1), epoch);
        fx_restart();
        ck_assert(!find_record(2, 5).never_decided);
}
END_TEST

/* ---------------------------------------------------------------- limits */

START_TEST(records_have_a_limit)
{
        struct ask ask = { epoch, 12, true, 5 };
        struct fx_answer a;

        fx.topo->options.max_records = 10;
        for (uint64_t counter = 1; counter <= 10; counter++)
                assert_told(decide("g0", "", epoch, counter, 77, 0), COMMITTED, 77);
        send_decide("g0", "", &ask, 1, 0, &a);
        fx_wait(&a);
        fx_assert_failed(&a, ERR_EXHAUSTED, "TOPO_LIMIT");
        /* What is there is told still, and what cannot wait is written. */
        assert_told(decide("g0", "", epoch, 10, 99, 0), COMMITTED, 77);
        assert_told(decide("g0", "", epoch, 11, 0, 0), ABORTED, 0);
        fx.topo->options.max_records = 12;
        assert_told(decide("g0", "", epoch, 12, 5, 0), COMMITTED, 5);
}
END_TEST

START_TEST(only_so_many_are_kept)
{
        fx.topo->options.max_kept = 10;
        for (uint64_t counter = 1; counter <= 15; counter++) {
                decide("g0", "", epoch, counter, 77, counter);
                report_durable(epoch, counter, "1/-80");
                report_durable(epoch, counter, "1/80-");
        }
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTIONS), 15);
        fx_pass_ms(1);
        ck_assert_uint_eq(count_keys(KEYS_TRANSACTIONS), 10);
        assert_told(find_record(epoch, 5), FORGOTTEN, 0);
        assert_told(find_record(epoch, 6), COMMITTED, 77);
}
END_TEST

START_TEST(participants_have_a_limit)
{
        static char *names[TRANSACTIONS_MAX_PARTICIPANTS + 1];
        Shoal__V1__DecideTransactionsRequest rq = SHOAL__V1__DECIDE_TRANSACTIONS_REQUEST__INIT;
        Shoal__V1__TransactionDecision d = SHOAL__V1__TRANSACTION_DECISION__INIT, *list = &d;
        Shoal__V1__TransactionId id;
        struct fx_answer a;

        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                names[i] = xasprintf("1/%zx-%zx", i, i + 1);
        set_txn_id(&id, epoch, 1);
        d.id = &id;
        d.state = TXN_STATE(COMMITTED);
        d.commit_ts = 77;
        d.participants = names;
        d.n_participants = ARRAY_LEN(names);
        rq.gate = (char *)(uintptr_t) "g0";
        rq.decisions = &list;
        rq.n_decisions = 1;
        a = fx_call(&transactions_decide, &rq.base,
                    &shoal__v1__decide_transactions_response__descriptor);
        fx_assert_failed(&a, ERR_EXHAUSTED, "TOPO_LIMIT");
        d.n_participants--;
        a = fx_call(&transactions_decide, &rq.base,
                    &shoal__v1__decide_transactions_response__descriptor);
        assert_told(take_decision(&a), COMMITTED, 77);
        for (size_t i = 0; i + 1 < d.n_participants; i += 100)
                assert_told(report_durable(epoch, 1, names[i]), COMMITTED, 77);
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                free(names[i]);
}
END_TEST

/* ---------------------------------------------------------------- for people */

static void assert_record(const Shoal__V1__TransactionRecord *m, uint64_t counter,
                          Shoal__V1__TransactionState state, size_t n_participants)
{
        struct txn_id id;

        ck_assert(txn_id_parse(m->transaction_id, strlen(m->transaction_id), &id));
        ck_assert_uint_eq(id.epoch, epoch);
        ck_assert_uint_eq(id.counter, counter);
        ck_assert_uint_eq(id.start, start_of(counter));
        ck_assert_int_eq(m->state, state);
        ck_assert_uint_eq(m->n_participants, n_participants);
        if (n_participants)
                ck_assert_str_eq(m->participants[0], "main/-80");
}

START_TEST(lists_show_what_is_not_resolved_first)
{
        Shoal__V1__ListTransactionsResponse *r;
        int64_t now_ms = wall_us() / 1000;

        decide("g0", "", epoch, 1, 77, 0);
        report_durable(epoch, 1, "1/-80");
        report_durable(epoch, 1, "1/80-");
        decide("g0", "", epoch, 2, 0, 0);
        decide("g0", "", epoch, 3, 78, 0);
        report_prepared(epoch, 4, "1/-80", 5000);
        report_prepared(epoch, 4, "1/80-", 4000);
        r = list_transactions(true);
        ck_assert_uint_eq(r->n_transactions, 2);
        ck_assert(!r->more);
        assert_record(r->transactions[0], 4, TXN_STATE(PREPARING), 2);
        ck_assert_int_le(r->transactions[0]->created_unix_ms, now_ms - 4000);
        assert_record(r->transactions[1], 3, TXN_STATE(COMMITTED), 2);
        ck_assert_int_ge(r->transactions[1]->created_unix_ms, now_ms);
        shoal__v1__list_transactions_response__free_unpacked(r, NULL);
        r = list_transactions(false);
        ck_assert_uint_eq(r->n_transactions, 4);
        assert_record(r->transactions[0], 4, TXN_STATE(PREPARING), 2);
        assert_record(r->transactions[1], 3, TXN_STATE(COMMITTED), 2);
        shoal__v1__list_transactions_response__free_unpacked(r, NULL);
        /* Once decided, or not reported any more, it is not shown any more. */
        decide("g0", "", epoch, 4, 0, 0);
        report_prepared(epoch, 5, "1/-80", 0);
        pass_with_gate(61000);
        r = list_transactions(true);
        ck_assert_uint_eq(r->n_transactions, 1);
        assert_record(r->transactions[0], 3, TXN_STATE(COMMITTED), 2);
        shoal__v1__list_transactions_response__free_unpacked(r, NULL);
}
END_TEST

START_TEST(lists_have_an_end)
{
        static struct ask asks[1000];
        Shoal__V1__ListTransactionsResponse *r;
        size_t n_bytes;

        for (uint64_t counter = 1; counter <= TRANSACTIONS_MAX_LISTED; counter += ARRAY_LEN(asks)) {
                struct fx_answer a;

                for (size_t i = 0; i < ARRAY_LEN(asks); i++)
                        asks[i] = (struct ask){ epoch, counter + i, true, 5 };
                send_decide("g0", "", asks, ARRAY_LEN(asks), 0, &a);
                fx_wait(&a);
                fx_assert_ok(&a);
                fx_done(&a);
        }
        r = list_transactions(false);
        ck_assert_uint_eq(r->n_transactions, TRANSACTIONS_MAX_LISTED);
        ck_assert(!r->more);
        n_bytes = shoal__v1__list_transactions_response__get_packed_size(r);
        ck_assert_uint_le(n_bytes, TRANSACTIONS_MAX_LIST_BYTES);
        shoal__v1__list_transactions_response__free_unpacked(r, NULL);
        decide("g0", "", epoch, TRANSACTIONS_MAX_LISTED + 1, 5, 0);
        r = list_transactions(false);
        ck_assert_uint_eq(r->n_transactions, TRANSACTIONS_MAX_LISTED);
        ck_assert(r->more);
        shoal__v1__list_transactions_response__free_unpacked(r, NULL);
}
END_TEST

START_TEST(only_what_can_be_is_resolved)
{
        struct fx_answer a = resolve(epoch, 1);

        fx_assert_failed(&a, ERR_PRECONDITION, "TRANSACTION_UNDECIDED");
        report_prepared(epoch, 1, "1/-80", 5);
        a = resolve(epoch, 1);
        fx_assert_failed(&a, ERR_PRECONDITION, "TRANSACTION_UNDECIDED");
        decide("g0", "", epoch, 2, 77, 0);
        a = resolve(epoch, 2);
        fx_assert_ok(&a);
        assert_record((Shoal__V1__TransactionRecord *)a.reply, 2, TXN_STATE(COMMITTED), 2);
        fx_done(&a);
        end_gate();
        a = resolve(epoch, 1);
        fx_assert_ok(&a);
        assert_record((Shoal__V1__TransactionRecord *)a.reply, 1, TXN_STATE(ABORTED), 2);
        fx_done(&a);
        a = resolve(epoch, 7);
        fx_assert_ok(&a);
        assert_record((Shoal__V1__TransactionRecord *)a.reply, 7, TXN_STATE(FORGOTTEN), 0);
        fx_done(&a);
        a = resolve(epoch + 1000, 7);
        fx_assert_failed(&a, ERR_UNAVAILABLE, "STORE_BEHIND");
}
END_TEST

START_TEST(one_alone_is_shown)
{
        static const struct {
                const char *id;
                enum err_code code;
                size_t n;
        } cases[] = { { "nonsense", ERR_INVALID, 0 },
                      { "1-", ERR_INVALID, 0 },
                      { "1-2-3", ERR_OK, 1 } }; /* of an epoch that nobody holds: forgotten */

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                Shoal__V1__ListTransactionsRequest rq = SHOAL__V1__LIST_TRANSACTIONS_REQUEST__INIT;
                struct fx_answer a;

                rq.transaction_id = (char *)(uintptr_t)cases[i].id;
                a = fx_call(&transactions_list, &rq.base,
                            &shoal__v1__list_transactions_response__descriptor);
                ck_assert_msg(a.err.code == cases[i].code, "%s: %s", cases[i].id, a.err.msg);
                if (!a.err.code)
                        ck_assert_uint_eq(
                            ((Shoal__V1__ListTransactionsResponse *)a.reply)->n_transactions,
                            cases[i].n);
                fx_done(&a);
        }
}
END_TEST

/* ---------------------------------------------------------------- the store's identity */

static char *identity(uint64_t *ret_revision)
{
        struct ask ask = { epoch, 1, true, 5 };
        Shoal__V1__DecideTransactionsResponse *r;
        struct fx_answer a;
        char *id;

        send_decide("g0", "", &ask, 1, 0, &a);
        fx_wait(&a);
        fx_assert_ok(&a);
        r = (Shoal__V1__DecideTransactionsResponse *)a.reply;
        id = xstrdup(r->store_id);
        *ret_revision = r->store_revision;
        fx_done(&a);
        return id;
}

START_TEST(a_store_keeps_its_name)
{
        uint64_t first, second;
        cleanup_(freep) char *before = identity(&first), *after = NULL, *other = NULL;

        fx_restart();
        fx_gate("g0", 1);
        after = identity(&second);
        ck_assert_str_eq(before, after);
        ck_assert_uint_gt(second, first); /* the start has written */
        fx_stop();
        set_up();
        other = identity(&second);
        ck_assert_str_ne(before, other);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("topo/transactions");
        TCase *t = tcase_create("transactions");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, set_up, fx_stop);
        tcase_add_test(t, the_first_decision_stands);
        tcase_add_test(t, a_gate_without_its_lease_commits_nothing);
        tcase_add_test(t, what_comes_first_in_the_store_counts);
        tcase_add_test(t, a_mark_closes_what_is_below);
        tcase_add_loop_test(t, nonsense_is_refused, 0, ARRAY_LEN(wrong));
        tcase_add_test(t, a_made_up_id_learns_nothing);
        tcase_add_test(t, as_many_as_a_request_takes);
        tcase_add_test(t, a_commit_is_done_when_all_have_it);
        tcase_add_test(t, a_commit_that_waits_is_never_forgotten);
        tcase_add_test(t, an_abort_goes_with_its_epoch);
        tcase_add_test(t, a_participant_does_not_wait_for_ever);
        tcase_add_test(t, a_contradiction_is_counted);
        tcase_add_test(t, what_was_never_decided_is_known);
        tcase_add_test(t, marks_have_a_limit);
        tcase_add_test(t, records_have_a_limit);
        tcase_add_test(t, only_so_many_are_kept);
        tcase_add_test(t, participants_have_a_limit);
        tcase_add_test(t, lists_show_what_is_not_resolved_first);
        tcase_add_test(t, lists_have_an_end);
        tcase_add_test(t, only_what_can_be_is_resolved);
        tcase_add_test(t, one_alone_is_shown);
        tcase_add_test(t, a_store_keeps_its_name);
        suite_add_tcase(s, t);
        return unit_run(s);
}
