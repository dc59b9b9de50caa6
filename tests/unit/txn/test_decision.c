/* test_decision.c - topo's rules, row by row. */
#include <check.h>
#include <string.h>

#include "common/util.h"
#include "tests/unit/unit.h"
#include "txn/decision.h"

/* Of an id with counter 5: may it still be decided? */
enum life { OPEN = 0, BELOW_MARK, LEASE_ENDED, N_LIVES };

static struct decision_view view(enum decision_record record, enum life life, size_t n_left)
{
        return (struct decision_view){
                .record = record,
                .commit_ts = record == DECISION_COMMITTED || record == DECISION_DONE ? 70 : 0,
                .n_left = n_left,
                .counter = 5,
                .mark = life == BELOW_MARK ? 6 : 5,
                .lease_lasts = life != LEASE_ENDED,
        };
}

enum event {
        COMMIT = 0, /* by the coordinator, with timestamp 90 */
        ABORT,      /* by the coordinator */
        HOLDER_ABORT,
        HOLDER_COMMIT, /* only ever answered as if it had asked for ABORTED */
        OPERATOR_ABORT,
        PREPARED_YOUNG,
        PREPARED_OLD,
        DURABLE,
        DURABLE_LAST,
        DURABLE_AGAIN,      /* reported before, others have not */
        DURABLE_AGAIN_LAST, /* reported before, so have all */
        FIND,
        COLLECT,
};

static struct decision_outcome happen(enum event event, enum decision_record record, enum life life)
{
        struct decision_view v = view(record, life, 2);

        switch (event) {
        case COMMIT:
                return decision_decide(&v, DECISION_COORDINATOR, true, 90);
        case ABORT:
                return decision_decide(&v, DECISION_COORDINATOR, false, 0);
        case HOLDER_ABORT:
                return decision_decide(&v, DECISION_HOLDER, false, 0);
        case HOLDER_COMMIT:
                return decision_decide(&v, DECISION_HOLDER, true, 90);
        case OPERATOR_ABORT:
                return decision_decide(&v, DECISION_OPERATOR, false, 0);
        case PREPARED_YOUNG:
                return decision_on_prepared(&v, 10, 10);
        case PREPARED_OLD:
                return decision_on_prepared(&v, 11, 10);
        case DURABLE:
                return decision_on_durable(&v, true);
        case DURABLE_LAST:
                v.n_left = 1;
                return decision_on_durable(&v, true);
        case DURABLE_AGAIN:
                return decision_on_durable(&v, false);
        case DURABLE_AGAIN_LAST:
                v.n_left = 0;
                return decision_on_durable(&v, false);
        case FIND:
                return decision_find(&v);
        case COLLECT:
                return decision_collect(&v);
        }
        ck_abort();
}

/* For each life: answer, timestamp, change. */
#define UNDECIDED DECISION_TELL_UNDECIDED, 0
#define OLD DECISION_TELL_COMMITTED, 70
#define NEW DECISION_TELL_COMMITTED, 90
#define ABORTED DECISION_TELL_ABORTED, 0
#define FORGOTTEN DECISION_TELL_FORGOTTEN, 0
#define KEEP DECISION_KEEP
#define DELETE DECISION_DELETE

static const struct {
        enum event event;
        enum decision_record record;
        struct {
                enum decision_answer answer;
                uint64_t commit_ts;
                enum decision_change change;
        } want[N_LIVES];
} rows[] = {
        /* clang-format off */
        /* nothing there                    open                                below the mark       the lease has ended */
        { COMMIT, DECISION_NONE,          { { NEW, DECISION_PUT_COMMITTED },    { FORGOTTEN, KEEP }, { FORGOTTEN, KEEP } } },
        { ABORT, DECISION_NONE,           { { ABORTED, DECISION_PUT_ABORTED },  { FORGOTTEN, KEEP }, { FORGOTTEN, KEEP } } },
        { HOLDER_ABORT, DECISION_NONE,    { { ABORTED, DECISION_PUT_ABORTED },  { ABORTED, KEEP },   { ABORTED, KEEP } } },
        { HOLDER_COMMIT, DECISION_NONE,   { { ABORTED, DECISION_PUT_ABORTED },  { ABORTED, KEEP },   { ABORTED, KEEP } } },
        { OPERATOR_ABORT, DECISION_NONE,  { { ABORTED, DECISION_PUT_ABORTED },  { FORGOTTEN, KEEP }, { FORGOTTEN, KEEP } } },
        { PREPARED_YOUNG, DECISION_NONE,  { { UNDECIDED, KEEP },                { ABORTED, KEEP },   { ABORTED, KEEP } } },
        { PREPARED_OLD, DECISION_NONE,    { { ABORTED, DECISION_PUT_ABORTED },  { ABORTED, KEEP },   { ABORTED, KEEP } } },
        { DURABLE, DECISION_NONE,         { { UNDECIDED, KEEP },                { FORGOTTEN, KEEP }, { FORGOTTEN, KEEP } } },
        { FIND, DECISION_NONE,            { { UNDECIDED, KEEP },                { FORGOTTEN, KEEP }, { FORGOTTEN, KEEP } } },
        { COLLECT, DECISION_NONE,         { { UNDECIDED, KEEP },                { FORGOTTEN, KEEP }, { FORGOTTEN, KEEP } } },
        /* committed */
        { COMMIT, DECISION_COMMITTED,         { { OLD, KEEP },              { OLD, KEEP },              { OLD, KEEP } } },
        { ABORT, DECISION_COMMITTED,          { { OLD, KEEP },              { OLD, KEEP },              { OLD, KEEP } } },
        { HOLDER_ABORT, DECISION_COMMITTED,   { { OLD, KEEP },              { OLD, KEEP },              { OLD, KEEP } } },
        { OPERATOR_ABORT, DECISION_COMMITTED, { { OLD, KEEP },              { OLD, KEEP },              { OLD, KEEP } } },
        { PREPARED_YOUNG, DECISION_COMMITTED, { { OLD, KEEP },              { OLD, KEEP },              { OLD, KEEP } } },
        { PREPARED_OLD, DECISION_COMMITTED,   { { OLD, KEEP },              { OLD, KEEP },              { OLD, KEEP } } },
        { DURABLE, DECISION_COMMITTED,        { { OLD, DECISION_PUT_LEFT }, { OLD, DECISION_PUT_LEFT }, { OLD, DECISION_PUT_LEFT } } },
        { DURABLE_AGAIN, DECISION_COMMITTED,  { { OLD, KEEP },              { OLD, KEEP },              { OLD, KEEP } } },
        { DURABLE_LAST, DECISION_COMMITTED,   { { FORGOTTEN, DECISION_PUT_DONE }, { FORGOTTEN, DELETE }, { FORGOTTEN, DELETE } } },
        { DURABLE_AGAIN_LAST, DECISION_COMMITTED, { { FORGOTTEN, DECISION_PUT_DONE }, { FORGOTTEN, DELETE }, { FORGOTTEN, DELETE } } },
        { FIND, DECISION_COMMITTED,           { { OLD, KEEP },              { OLD, KEEP },              { OLD, KEEP } } },
        { COLLECT, DECISION_COMMITTED,        { { OLD, KEEP },              { OLD, KEEP },              { OLD, KEEP } } },
        /* committed, durable everywhere */
        { COMMIT, DECISION_DONE,          { { OLD, KEEP },       { OLD, KEEP },       { OLD, KEEP } } },
        { ABORT, DECISION_DONE,           { { OLD, KEEP },       { OLD, KEEP },       { OLD, KEEP } } },
        { HOLDER_ABORT, DECISION_DONE,    { { OLD, KEEP },       { OLD, KEEP },       { OLD, KEEP } } },
        { PREPARED_OLD, DECISION_DONE,    { { OLD, KEEP },       { OLD, KEEP },       { OLD, KEEP } } },
        { DURABLE_AGAIN_LAST, DECISION_DONE, { { FORGOTTEN, KEEP }, { FORGOTTEN, KEEP }, { FORGOTTEN, KEEP } } },
        { FIND, DECISION_DONE,            { { OLD, KEEP },       { OLD, KEEP },       { OLD, KEEP } } },
        { COLLECT, DECISION_DONE,         { { OLD, KEEP },       { OLD, DELETE },     { OLD, DELETE } } },
        /* aborted */
        { COMMIT, DECISION_ABORTED,       { { ABORTED, KEEP },   { ABORTED, KEEP },   { ABORTED, KEEP } } },
        { ABORT, DECISION_ABORTED,        { { ABORTED, KEEP },   { ABORTED, KEEP },   { ABORTED, KEEP } } },
        { HOLDER_ABORT, DECISION_ABORTED, { { ABORTED, KEEP },   { ABORTED, KEEP },   { ABORTED, KEEP } } },
        { PREPARED_YOUNG, DECISION_ABORTED, { { ABORTED, KEEP }, { ABORTED, KEEP },   { ABORTED, KEEP } } },
        { DURABLE, DECISION_ABORTED,      { { ABORTED, KEEP },   { ABORTED, KEEP },   { ABORTED, KEEP } } },
        { FIND, DECISION_ABORTED,         { { ABORTED, KEEP },   { ABORTED, KEEP },   { ABORTED, KEEP } } },
        { COLLECT, DECISION_ABORTED,      { { ABORTED, KEEP },   { ABORTED, DELETE }, { ABORTED, DELETE } } },
        /* clang-format on */
};

START_TEST(every_case_is_as_written)
{
        for (enum life life = 0; life < N_LIVES; life++) {
                struct decision_outcome o = happen(rows[_i].event, rows[_i].record, life);

                ck_assert_msg(o.answer == rows[_i].want[life].answer, "row %d, life %d: answer %d",
                              _i, (int)life, (int)o.answer);
                ck_assert_msg(o.commit_ts == rows[_i].want[life].commit_ts,
                              "row %d, life %d: timestamp %llu", _i, (int)life,
                              (unsigned long long)o.commit_ts);
                ck_assert_msg(o.change == rows[_i].want[life].change, "row %d, life %d: change %d",
                              _i, (int)life, (int)o.change);
                /* Nothing is decided without the lease. */
                ck_assert_int_eq(o.needs_lease, o.change == DECISION_PUT_COMMITTED ||
                                                    o.change == DECISION_PUT_ABORTED);
        }
}
END_TEST

START_TEST(marks_only_rise)
{
        ck_assert_uint_eq(decision_advance_mark(0, 0), 0);
        ck_assert_uint_eq(decision_advance_mark(3, 0), 3);
        ck_assert_uint_eq(decision_advance_mark(3, 2), 3);
        ck_assert_uint_eq(decision_advance_mark(3, 4), 4);
}
END_TEST

START_TEST(a_store_that_went_back_is_refused)
{
        struct decision_store s = { 0 };
        char longest[DECISION_STORE_ID_BYTES], longer[DECISION_STORE_ID_BYTES + 1];

        memset(longest, 'x', sizeof longest);
        longest[sizeof longest - 1] = '\0';
        memset(longer, 'x', sizeof longer);
        longer[sizeof longer - 1] = '\0';
        ck_assert(!decision_store_accept(&s, "", 1));
        ck_assert(!decision_store_accept(&s, longer, 1));
        ck_assert_str_eq(s.id, "");
        ck_assert(decision_store_accept(&s, longest, 10));
        ck_assert(decision_store_accept(&s, longest, 10));
        ck_assert(decision_store_accept(&s, longest, 12));
        ck_assert(!decision_store_accept(&s, longest, 11));
        ck_assert(!decision_store_accept(&s, "other", 13));
        ck_assert_uint_eq(s.revision, 12);
        ck_assert(decision_store_accept(&s, longest, 13));
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("decision");
        TCase *t = tcase_create("rules");

        tcase_add_loop_test(t, every_case_is_as_written, 0, ARRAY_LEN(rows));
        tcase_add_test(t, marks_only_rise);
        tcase_add_test(t, a_store_that_went_back_is_refused);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
