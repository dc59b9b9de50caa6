/* sequence.c - new rowids: what is known of each table, who waits, what is out. Loop thread. */
#include "gate/sequence.h"

#include <assert.h>
#include <sqlite3.h>
#include <string.h>
#include <xxhash.h>

#include "gate/sequence_int.h"

enum { N_BUCKETS = 256 };

/* One table. Owner: the loop thread. */
struct sequence {
        struct sequences *all;
        struct sequence *next; /* in its bucket */
        char *table;
        uint64_t keyspace_id;
        uint64_t schema_version;
        bool autoincrement;
        bool by_rowid; /* the rowid alone decides the shard */

        /* The largest rowid that is known to exist. stale: it may be smaller, or larger through
         * other gates' doing: ask before the next id, if none is out. must_ask: ask in any case. */
        bool has_largest, stale, must_ask;
        int64_t largest;

        /* Ids that this gate alone may give out: [first, limit), as answered for ids above `above`.
         */
        int64_t above, first, limit;
        uint64_t epoch;

        /* Ids of INSERTs with unknown outcome, until they cannot arrive any more. */
        bool has_ghost;
        int64_t ghost, ghost_until_us;

        bool busy;      /* a question is under way … */
        bool dirtied;   /* … and meanwhile something made the answer doubtful */
        bool has_added; /* … or put this rowid into the table */
        int64_t added;
        bool just_asked;
        bool pumping;
        struct sequence_hold *holds;
        struct sequence_use *waiting_first, *waiting_last;
        struct sequence_use *out_first,
            *out_last; /* in the order given: the last has the largest ids */
};

/* What a transaction has done to one table since one savepoint. */
struct sequence_hold {
        struct sequence *sequence;
        struct sequence_hold *next;                          /* of the transaction */
        struct sequence_hold *prev_of_table, *next_of_table; /* of all transactions */
        uint64_t savepoint;
        bool has_largest;
        int64_t largest; /* rowid that it has put into the table */
        bool is_added;   /* nothing else than rows was added */
};

/* Owner: the loop thread. */
struct sequences {
        struct sequence_io io;
        size_t n;
        struct sequence *buckets[N_BUCKETS];
};

/* ---- the tables */

struct sequences *sequences_new_io(const struct sequence_io *io)
{
        struct sequences *s = xcalloc(1, sizeof *s);

        s->io = *io;
        return s;
}

static struct sequence *free_sequence(struct sequence *q)
{
        free(q->table);
        free(q);
        return NULL;
}

struct sequences *sequences_free(struct sequences *s)
{
        if (!s)
                return NULL;
        for (size_t i = 0; i < N_BUCKETS; i++)
                for (struct sequence *q = s->buckets[i], *next; q; q = next) {
                        next = q->next;
                        free_sequence(q);
                }
        if (s->io.free)
                s->io.free(s->io.arg);
        free(s);
        return NULL;
}

size_t sequences_count(const struct sequences *s)
{
        return s->n;
}

static bool is_idle(const struct sequence *q)
{
        return !q->busy && !q->pumping && !q->waiting_first && !q->out_first && !q->holds;
}

/* What is not known is asked again: forgetting a sequence costs a question, no more. */
static void forget_idle(struct sequences *s)
{
        for (size_t i = 0; i < N_BUCKETS; i++)
                for (struct sequence **link = &s->buckets[i]; *link;) {
                        struct sequence *q = *link;

                        if (is_idle(q)) {
                                *link = q->next;
                                free_sequence(q);
                                s->n--;
                        } else {
                                link = &q->next;
                        }
                }
}

static bool is_by_rowid(const struct catalog_table *t)
{
        return t->n_shard_columns == 1 &&
               (t->shard_columns[0] == -1 || t->shard_columns[0] == t->rowid_column);
}

/* The table may have been dropped and made anew. */
static void follow_schema(struct sequence *q, const struct plan *p)
{
        if (p->schema_version <= q->schema_version)
                return;
        q->schema_version = p->schema_version;
        q->autoincrement = p->table->autoincrement;
        q->by_rowid = is_by_rowid(p->table);
        q->stale = q->dirtied = true;
        q->above = q->first = q->limit = 0;
}

static struct sequence **find_link(struct sequences *s, const struct plan *p)
{
        const char *table = p->table->name;
        uint64_t hash = XXH3_64bits_withSeed(table, strlen(table), p->keyspace_id);
        struct sequence **link = &s->buckets[hash % N_BUCKETS];

        while (*link && ((*link)->keyspace_id != p->keyspace_id || strcmp((*link)->table, table)))
                link = &(*link)->next;
        return link;
}

static struct sequence *get_sequence(struct sequences *s, const struct plan *p)
{
        struct sequence **link = find_link(s, p);
        struct sequence *q = *link;

        if (!q) {
                if (s->n >= SEQUENCE_MAX_TABLES) {
                        forget_idle(s);
                        link = find_link(s, p);
                }
                q = *link = xcalloc(1, sizeof *q);
                q->all = s;
                q->table = xstrdup(p->table->name);
                q->keyspace_id = p->keyspace_id;
                q->stale = true;
                s->n++;
        }
        follow_schema(q, p);
        return q;
}

static bool has_rowids(const struct plan *p)
{
        return p->table && !p->table->without_rowid && p->table->sharding == SHARDING_HASH;
}

/* ---- lists of uses */

static void append_use(struct sequence_use **first, struct sequence_use **last,
                       struct sequence_use *u)
{
        u->next = NULL;
        u->prev = *last;
        *(*last ? &(*last)->next : first) = u;
        *last = u;
}

static void remove_use(struct sequence_use **first, struct sequence_use **last,
                       struct sequence_use *u)
{
        *(u->prev ? &u->prev->next : first) = u->next;
        *(u->next ? &u->next->prev : last) = u->prev;
        u->prev = u->next = NULL;
}

static void stop_waiting(struct sequence_use *u)
{
        remove_use(&u->sequence->waiting_first, &u->sequence->waiting_last, u);
        u->waiting = false;
}

static void forget_filled(struct sequence_use *u)
{
        free(u->filled);
        u->filled = NULL;
        u->n_filled = 0;
        u->n_done = 0;
}

static void empty_slots(struct sequence_use *u)
{
        for (size_t i = 0; i < u->n_filled; i++)
                u->values->values[u->filled[i]] = value_null();
        forget_filled(u);
}

/* ---- giving ids */

/* The rowid SQLite would make of a value that is given for it. */
static bool read_rowid(const struct value *v, int64_t *ret_id)
{
        char text[32];
        char *end;

        switch (v->type) {
        case VALUE_INTEGER:
                *ret_id = v->integer;
                return true;
        case VALUE_REAL:
                if (!(v->real >= -9.2e18 && v->real <= 9.2e18) ||
                    v->real != (double)(int64_t)v->real)
                        return false;
                *ret_id = (int64_t)v->real;
                return true;
        case VALUE_TEXT:
                if (v->n_bytes == 0 || v->n_bytes >= sizeof text)
                        return false;
                memcpy(text, v->data, v->n_bytes);
                text[v->n_bytes] = '\0';
                *ret_id = strtoll(text, &end, 10);
                return *end == '\0';
        default:
                return false;
        }
}

static void raise_to(bool *has, int64_t *largest, int64_t id)
{
        if (!*has || id > *largest)
                *largest = id;
        *has = true;
}

/* Where the first row of u starts from. */
static void begin_use(struct sequence *q, struct sequence_use *u)
{
        u->has_largest = q->has_largest;
        u->largest = q->largest;
        if (q->out_last && q->out_last->has_largest)
                raise_to(&u->has_largest, &u->largest, q->out_last->largest);
        if (q->has_ghost && q->all->io.now_us(q->all->io.arg) < q->ghost_until_us)
                raise_to(&u->has_largest, &u->largest, q->ghost);
        for (const struct sequence_hold *h = q->holds; h; h = h->next_of_table)
                if (h->has_largest)
                        raise_to(&u->has_largest, &u->largest, h->largest);
        if (q->autoincrement)
                raise_to(&u->has_largest, &u->largest, 0);
}

enum grant { GRANT_ALL = 0, GRANT_NEEDS_RANGE, GRANT_FULL };

/* The id behind u->largest, as OP_NewRowid of SQLite's vdbe.c chooses it. */
static enum grant pick_id(struct sequence *q, const struct sequence_use *u, int64_t *ret_id)
{
        const struct sequence_io *io = &q->all->io;
        int64_t id;

        if (u->has_largest && u->largest == INT64_MAX) {
                if (q->autoincrement)
                        return GRANT_FULL;
                *ret_id = (int64_t)(io->random(io->arg) & (INT64_MAX >> 1)) + 1;
                return GRANT_ALL;
        }
        id = u->has_largest ? u->largest + 1 : 1;
        if (id == INT64_MAX) { /* no range can hold it: their limits lie behind them */
                *ret_id = id;
                return GRANT_ALL;
        }
        if (q->epoch != io->epoch(io->arg) || id <= q->above || id >= q->limit)
                return GRANT_NEEDS_RANGE;
        *ret_id = id < q->first ? q->first : id; /* between above and first others give out ids */
        return GRANT_ALL;
}

static enum grant grant_ids(struct sequence *q, struct sequence_use *u)
{
        const struct plan *p = u->plan;

        if (!u->filled) {
                u->filled = xcalloc(p->n_insert_ids, sizeof *u->filled);
                begin_use(q, u);
        }
        for (; u->n_done < p->n_insert_ids; u->n_done++) {
                int at = p->insert_ids[u->n_done];
                struct value *v = &u->values->values[at];
                int64_t id;
                enum grant g;

                if (v->type != VALUE_NULL) {
                        if (read_rowid(v, &id))
                                raise_to(&u->has_largest, &u->largest, id);
                        continue;
                }
                g = pick_id(q, u, &id);
                if (g)
                        return g;
                *v = value_integer(id);
                u->filled[u->n_filled++] = at;
                raise_to(&u->has_largest, &u->largest, id);
        }
        return GRANT_ALL;
}

static void full_error(const struct sequence *q, struct err *ret_err)
{
        *ret_err = (struct err)ERR_INIT;
        err_set(ret_err, ERR_EXHAUSTED, "DISK_FULL",
                "database or disk is full: table %s has no rowid left", q->table);
        ret_err->extended_code = SQLITE_FULL;
        strcpy(ret_err->sqlite_msg, "database or disk is full");
}

/* ---- waiting */

static void finish_waiting(struct sequence_use *u, const struct err *e)
{
        struct sequence *q = u->sequence;

        stop_waiting(u);
        if (e->code) {
                empty_slots(u);
                u->sequence = NULL;
        } else {
                append_use(&q->out_first, &q->out_last, u);
                u->out = true;
                q->just_asked = false;
        }
        u->done(u, e);
}

static bool needs_asking(const struct sequence *q)
{
        return q->must_ask || (q->stale && !q->out_first && !q->just_asked);
}

static void ask(struct sequence *q, struct sequence_use *u)
{
        q->busy = true;
        q->dirtied = q->has_added = false;
        q->all->io.ask(q->all->io.arg, q, u->plan, u->deadline_us);
}

static void allocate(struct sequence *q, struct sequence_use *u)
{
        size_t n_left = u->plan->n_insert_ids - u->n_done;
        int64_t above = u->has_largest ? u->largest : 0;

        q->busy = true;
        q->above = above;
        q->all->io.allocate(q->all->io.arg, q, q->keyspace_id, q->table, above, n_left,
                            u->deadline_us);
}

/* Serves those who wait, in order, until something has to be asked. */
static void pump(struct sequence *q)
{
        struct sequence_use *u;

        if (q->pumping)
                return;
        q->pumping = true;
        while (!q->busy && (u = q->waiting_first)) {
                struct err e = ERR_INIT;

                if (q->all->io.now_us(q->all->io.arg) >= u->deadline_us) {
                        err_set(&e, ERR_DEADLINE, "DEADLINE_EXCEEDED", "no rowid came in time");
                        finish_waiting(u, &e);
                        continue;
                }
                if (!u->filled && needs_asking(q)) {
                        ask(q, u);
                        break;
                }
                switch (grant_ids(q, u)) {
                case GRANT_ALL:
                        finish_waiting(u, &e);
                        break;
                case GRANT_NEEDS_RANGE:
                        allocate(q, u);
                        break;
                case GRANT_FULL:
                        full_error(q, &e);
                        finish_waiting(u, &e);
                        break;
                }
        }
        q->pumping = false;
}

/* A question has failed: so would that of whoever waits behind, unless only the first one's time
 * was up. */
static void fail_waiting(struct sequence *q, const struct err *e)
{
        size_t n = 0;

        if (e->code == ERR_DEADLINE || e->code == ERR_CANCELLED)
                n = 1;
        else
                for (const struct sequence_use *u = q->waiting_first; u; u = u->next)
                        n++;
        q->pumping = true; /* who begins to wait from now on asks anew */
        for (; n && q->waiting_first; n--)
                finish_waiting(q->waiting_first, e);
        q->pumping = false;
}

void sequence_asked(struct sequence *q, const struct err *e, bool has_largest, int64_t largest)
{
        assert(q->busy);
        q->busy = false;
        if (e->code) {
                fail_waiting(q, e);
        } else {
                q->must_ask = false;
                q->just_asked = true;
                q->stale = q->dirtied;
                q->has_largest = has_largest;
                q->largest = largest;
                if (q->has_added)
                        raise_to(&q->has_largest, &q->largest, q->added);
        }
        pump(q);
        q->just_asked = false;
}

void sequence_allocated(struct sequence *q, const struct err *e, uint64_t epoch, int64_t first,
                        int64_t limit)
{
        assert(q->busy);
        q->busy = false;
        if (e->code || first <= q->above || limit <= first) {
                struct err odd = ERR_INIT;

                if (!e->code)
                        err_set(&odd, ERR_INTERNAL, "INTERNAL", "topo gave no ids above %lld",
                                (long long)q->above);
                q->limit = 0;
                fail_waiting(q, e->code ? e : &odd);
        } else {
                q->epoch = epoch;
                q->first = first;
                q->limit = limit;
        }
        pump(q);
}

enum sequence_verdict sequence_fill(struct sequences *s, struct sequence_use *u, struct err *reterr)
{
        struct sequence *q;
        enum grant g = GRANT_NEEDS_RANGE;

        assert(!u->sequence);
        if (!has_rowids(u->plan) || !u->plan->n_insert_ids ||
            !plan_n_new_rowids(u->plan, u->values))
                return SEQUENCE_FILLED;
        q = get_sequence(s, u->plan);
        u->all = s;
        u->sequence = q;
        if (!q->busy && !q->pumping && !q->waiting_first && !needs_asking(q)) {
                g = grant_ids(q, u);
                if (g == GRANT_ALL) {
                        append_use(&q->out_first, &q->out_last, u);
                        u->out = true;
                        return SEQUENCE_FILLED;
                }
                if (g == GRANT_FULL) {
                        full_error(q, reterr);
                        empty_slots(u);
                        u->sequence = NULL;
                        return SEQUENCE_FAILED;
                }
        }
        append_use(&q->waiting_first, &q->waiting_last, u);
        u->waiting = true;
        pump(q);
        return SEQUENCE_WAIT;
}

/* ---- what became of it */

static bool is_in_doubt(enum err_code code)
{
        switch (code) {
        case ERR_UNKNOWN:
        case ERR_DEADLINE:
        case ERR_CANCELLED:
        case ERR_INTERNAL:
        case ERR_DATA_LOSS:
                return true;
        default:
                return false;
        }
}

static void note_added(struct sequence *q, const struct sequence_use *u)
{
        for (size_t i = 0; i < u->plan->n_insert_ids; i++) {
                const struct value *v = &u->values->values[u->plan->insert_ids[i]];
                int64_t id;

                if (!read_rowid(v, &id)) {
                        q->stale = q->dirtied = true;
                        continue;
                }
                raise_to(&q->has_largest, &q->largest, id);
                raise_to(&q->has_added, &q->added, id);
        }
}

/* Can a DELETE have taken the largest row away? Not if it was for certain rowids below. */
static bool spares_largest(const struct sequence *q, const struct sequence_use *u)
{
        const struct route *r = &u->plan->parts[0].route;

        if (u->plan->n_parts != 1 || r->kind != ROUTE_KEYS || !q->by_rowid || q->stale ||
            !q->has_largest)
                return false;
        for (size_t i = 0; i < r->n_keys; i++) {
                const struct value *v = &u->values->values[r->slots[i]];

                if (v->type != VALUE_INTEGER || v->integer >= q->largest)
                        return false;
        }
        return true;
}

static void note_success(struct sequence *q, const struct sequence_use *u)
{
        switch (u->replayed ? ROWIDS_ANY : u->plan->rowids) {
        case ROWIDS_KEPT:
                return;
        case ROWIDS_ADDED:
                note_added(q, u);
                return;
        case ROWIDS_REMOVED:
                if (spares_largest(q, u))
                        return;
                break;
        case ROWIDS_ANY:
                break;
        }
        q->stale = q->dirtied = true;
}

static void note_doubt(struct sequence *q, const struct sequence_use *u)
{
        const struct sequence_io *io = &q->all->io;
        int64_t now = io->now_us(io->arg);
        int64_t until = u->deadline_us < now ? now : u->deadline_us;

        q->stale = q->dirtied = true;
        if (q->by_rowid || !u->n_filled)
                return;
        if (until > now + SEQUENCE_GHOST_US)
                until = now + SEQUENCE_GHOST_US;
        if (q->has_ghost && now >= q->ghost_until_us)
                q->has_ghost = false;
        raise_to(&q->has_ghost, &q->ghost, u->largest);
        q->ghost_until_us = until + SEQUENCE_GHOST_US;
}

/* Is it a rowid that was given out that is taken already? The rowid has its own code, but as
 * INTEGER PRIMARY KEY that of primary keys, of which such a table has no other. */
bool sequence_is_collision(const struct sequence_use *u, const struct err *e)
{
        int code = u->plan->table->rowid_column >= 0 ? SQLITE_CONSTRAINT_PRIMARYKEY
                                                     : SQLITE_CONSTRAINT_ROWID;

        if (!u->n_filled || !is_by_rowid(u->plan->table) || !e->code)
                return false;
        /* Where ON CONFLICT would hide it, the planner has the shard say that the type is wrong. */
        return e->extended_code == code ||
               (e->extended_code == SQLITE_MISMATCH && u->plan->rowids == ROWIDS_ANY);
}

static void take_back(struct sequence_use *u)
{
        if (u->out)
                remove_use(&u->sequence->out_first, &u->sequence->out_last, u);
        u->out = false;
        u->sequence = NULL;
}

bool sequence_try_again(struct sequence_use *u)
{
        struct sequence *q = u->sequence;

        if (!q || u->n_collisions >= SEQUENCE_MAX_COLLISIONS)
                return false;
        u->n_collisions++;
        q->must_ask = true;
        take_back(u);
        empty_slots(u);
        pump(q);
        return true;
}

bool sequence_note_result(struct sequences *s, struct sequence_use *u, const struct err *e)
{
        struct sequence *q = u->sequence;

        assert(!u->waiting);
        if (sequence_is_collision(u, e) && sequence_try_again(u))
                return true;
        if (!q && has_rowids(u->plan))
                q = *find_link(s, u->plan);
        if (!q)
                return false;
        if (!e->code)
                note_success(q, u);
        else if (is_in_doubt(e->code))
                note_doubt(q, u);
        else if (u->plan->rowids == ROWIDS_ANY)
                q->stale = q->dirtied =
                    true; /* OR FAIL keeps the rows before the one that failed */
        take_back(u);
        forget_filled(u);
        pump(q);
        return false;
}

/* ---- in transactions */

static struct sequence_hold *find_hold(struct sequence_holds *holds, struct sequence *q,
                                       uint64_t savepoint)
{
        struct sequence_hold *h = holds->first;

        while (h && (h->sequence != q || h->savepoint != savepoint))
                h = h->next;
        if (h)
                return h;
        h = xcalloc(1, sizeof *h);
        h->sequence = q;
        h->savepoint = savepoint;
        h->is_added = true;
        h->next = holds->first;
        holds->first = h;
        h->next_of_table = q->holds;
        if (q->holds)
                q->holds->prev_of_table = h;
        q->holds = h;
        return h;
}

void sequence_hold(struct sequences *s, const struct plan *p, const struct plan_values *values,
                   struct sequence_holds *holds, uint64_t savepoint)
{
        struct sequence_hold *h;

        if (!has_rowids(p) || p->rowids == ROWIDS_KEPT)
                return;
        h = find_hold(holds, get_sequence(s, p), savepoint);
        h->is_added = h->is_added && p->rowids == ROWIDS_ADDED;
        for (size_t i = 0; i < p->n_insert_ids; i++) {
                int64_t id;

                if (read_rowid(&values->values[p->insert_ids[i]], &id))
                        raise_to(&h->has_largest, &h->largest, id);
        }
}

static void end_hold(struct sequence_hold *h, enum sequence_outcome outcome)
{
        struct sequence *q = h->sequence;
        const struct sequence_io *io = &q->all->io;

        if (outcome != SEQUENCE_COMMITTED || !h->is_added)
                q->stale = q->dirtied = true;
        if (outcome == SEQUENCE_IN_DOUBT && h->has_largest) {
                raise_to(&q->has_ghost, &q->ghost, h->largest);
                q->ghost_until_us = io->now_us(io->arg) + 2 * SEQUENCE_GHOST_US;
        }
        *(h->prev_of_table ? &h->prev_of_table->next_of_table : &q->holds) = h->next_of_table;
        if (h->next_of_table)
                h->next_of_table->prev_of_table = h->prev_of_table;
        free(h);
        pump(q);
}

void sequence_holds_undo(struct sequence_holds *holds, uint64_t savepoint)
{
        struct sequence_hold **link = &holds->first, *h;

        while ((h = *link)) {
                if (h->savepoint < savepoint) {
                        link = &h->next;
                        continue;
                }
                *link = h->next;
                end_hold(h, SEQUENCE_ROLLED_BACK);
        }
}

void sequence_holds_end(struct sequence_holds *holds, enum sequence_outcome outcome)
{
        while (holds->first) {
                struct sequence_hold *h = holds->first;

                holds->first = h->next;
                end_hold(h, outcome);
        }
}

void sequence_cancel(struct sequences *s, struct sequence_use *u)
{
        struct sequence *q = u->sequence;

        if (!q)
                return;
        if (u->waiting)
                stop_waiting(u);
        else
                note_doubt(q, u);
        take_back(u);
        empty_slots(u);
        pump(q);
}
