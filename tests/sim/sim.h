/* sim.h - clusters of the protocol's own code in one process under a seeded scheduler: gates,
 * tablets and topos that lose, repeat, reorder and delay messages, crash, lose power, pause, and
 * whose clocks go wrong; and what must be true nevertheless.
 *
 * There is one world at a time, and everything that happens is an event of it; the same seed makes
 * the same world. Single thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hlc.h"
#include "common/util.h"
#include "txn/coordinator.h"
#include "txn/cut.h"
#include "txn/decision.h"
#include "txn/participant.h"
#include "txn/rules_int.h"

enum {
        N_SHARDS = 4,
        N_KEYS = 2,
        N_TABLETS = 2,
        N_GATES = 3,
        N_TOPOS = 2,
        N_NODES = N_TABLETS + N_GATES + N_TOPOS,
        MAX_TAGS = 128,
        MAX_COMMITS = 320,
        MAX_MEMBERS = 4,
        MAX_REDO = 320,
        MAX_EVENTS = 2048,
        MAX_SEEN = 640,
        MAX_EPOCHS = 256,
        MAX_STREAMS = 1024,
        N_SESSIONS = 5,
        MAX_OPS = 6,
        MAX_OPEN = 24,
        MAX_QUEUE = 16,
        MS = 1000, /* microseconds */
};

/* Sets of tags: every transaction and every autocommit write has one. */
struct tags {
        uint64_t w[MAX_TAGS / 64];
};
static inline bool tags_has(const struct tags *t, unsigned tag)
{
        return t->w[tag / 64] >> (tag % 64) & 1;
}
static inline void tags_add(struct tags *t, unsigned tag)
{
        t->w[tag / 64] |= 1ULL << (tag % 64);
}
static inline void tags_unite(struct tags *t, const struct tags *other)
{
        for (size_t i = 0; i < MAX_TAGS / 64; i++)
                t->w[i] |= other->w[i];
}

/* ---------------------------------------------------------------- what is broken on purpose */

/* Mistakes that are no rules of txn/, but of whoever drives it. */
enum flaw {
        FLAW_NONE = 0,
        FLAW_DECISION_NOT_DURABLE, /* a topo that crashes loses decisions it has told */
        FLAW_NOT_FOUND_IS_COMMITTED,
        FLAW_COMMIT_NOT_SYNCED, /* a commit of one shard is told before it is durable */
        FLAW_REDO_NOT_SYNCED,   /* a vote is told before its redo is durable */
        FLAW_EXPECT_NOTHING,    /* topo does not compare the record it has read */
        FLAW_OPENED_UNSYNCED,   /* what a killed process has left is served before it is durable */
        FLAW_REQUEST_IDS,       /* a write that is repeated is done again */
};

struct variant {
        const char *name;
        enum txn_rule rule; /* TXN_N_RULES: none */
        enum flaw flaw;
        bool is_serializable; /* shows at that level */
};
extern const struct variant variants[];
extern const size_t n_variants;

/* ---------------------------------------------------------------- shards */

enum commit_kind { COMMIT_WRITES = 0, COMMIT_TXN, COMMIT_FENCE, COMMIT_EMPTY, COMMIT_SCHEMA };

/* One commit of a shard's file; what is written once stays in the pages. */
struct commit {
        enum commit_kind kind;
        uint64_t ts;
        struct txn_id id; /* its row in _shoal_applied; none: no row */
        uint64_t applied_ts;
        uint64_t floor, horizon, schema; /* as of then */
        size_t n_members;
        struct {
                unsigned tag;
                uint8_t keys;
                unsigned n_writes; /* statements */
        } members[MAX_MEMBERS];
};

/* One entry of a tablet's redo log. */
struct redo {
        unsigned shard;
        uint64_t position;
        uint64_t floor; /* a promise, and nothing else; 0: a transaction */
        struct txn_age age;
        uint64_t vote, schema;
        unsigned tag;
        uint8_t keys;
        unsigned n_writes;
};

struct op_done {
        uint64_t savepoint;
        uint8_t key;
};

struct request;

struct shard {
        unsigned number, tablet;
        /* On disk. */
        struct commit commits[MAX_COMMITS];
        size_t n_commits, n_synced;
        bool has_doubt; /* a commit that failed half way, and may come back */
        struct commit doubt;
        /* In memory. */
        struct tags there;   /* all tags in commits */
        size_t n_visible;    /* commits that readers see: a synced one once it is */
        struct tags visible; /* their tags */
        struct txn_clock clock;
        struct participant *participant;
        struct {
                bool is_open;
                struct txn_age age;
                unsigned tag;
                struct op_done ops[MAX_OPS * 2];
                size_t n_ops;
                unsigned n_before; /* of what was put back: statements there were */
                uint64_t schema;
        } writing;
        struct participant_action job;
        struct request *queue[MAX_QUEUE]; /* autocommit writes */
        size_t n_queue;
        struct request *batch[MAX_MEMBERS];
        size_t n_batch;
        struct commit committing;
        struct request *pins[MAX_QUEUE]; /* waiting for the clock */
        size_t n_pins;
        struct request *pinning[MAX_QUEUE]; /* the clock was asked, the snapshot is not open yet */
};

struct tablet {
        struct redo redo[MAX_REDO];
        size_t n_redo, n_redo_synced;
        uint64_t last_position;
};

/* ---------------------------------------------------------------- messages and events */

enum message_kind {
        /* gate to tablet */
        MESSAGE_PIN = 0,
        MESSAGE_READ,
        MESSAGE_WRITE,
        MESSAGE_PART, /* for the participant */
        MESSAGE_TABLET_REPLY,
        /* to topo and back */
        MESSAGE_HEARTBEAT,
        MESSAGE_DECIDE,
        MESSAGE_ASK,
        MESSAGE_REPORT,
        MESSAGE_TOPO_REPLY,
};

struct message {
        enum message_kind kind;
        unsigned from, to; /* nodes */
        uint64_t hlc;
        uint64_t stream;
        uint64_t number; /* of the request; its reply has the same */
        unsigned shard, tag;
        unsigned session; /* the gate's business: whose request it is */
        struct participant_request part;
        uint64_t savepoint;
        uint8_t key;
        bool is_write;
        uint64_t read_ts;
        bool is_settled;
        bool is_replayed;
        uint64_t schema;
        uint64_t request_id;
        /* replies */
        enum message_kind was;
        enum txn_result result;
        bool is_refused; /* before a participant saw it */
        struct tags seen;
        uint64_t c, e, commit_ts;
        /* topo */
        struct txn_id id;
        bool commit, is_known, is_holder;
        uint64_t oldest_counter;
        uint64_t prepared_ms;
        uint64_t boot; /* of the tablet that asked */
        enum decision_answer answer;
        uint64_t epoch;
        struct decision_view view; /* as a topo has read it */
        uint64_t version;
};

/* A request at a tablet. */
struct request {
        bool is_used;
        struct participant_request r; /* what goes through the participant */
        struct message m;             /* as it came */
        struct tags seen;             /* what it read */
        struct request *next_free;
};

struct event {
        int64_t at;
        uint64_t order;
        unsigned node;
        uint64_t boot;    /* of the node; another one: it has crashed since, nothing happens */
        uint64_t channel; /* events of one channel happen in order; 0: none */
        void (*fn)(struct event *e);
        unsigned a;
        uint64_t b, c, d;
        struct message *m; /* owned; NULL: none */
};

struct node {
        bool is_up;
        uint64_t boot;
        int64_t paused_until;
        int64_t clock_offset;
        struct hlc hlc;
};

/* ---------------------------------------------------------------- gates */

enum op_kind { OP_READ = 0, OP_WRITE, OP_SAVEPOINT, OP_ROLLBACK_TO };
struct op {
        enum op_kind kind;
        uint8_t shards; /* bits */
        uint8_t key;
};

enum work_kind { WORK_TXN = 0, WORK_SCATTER, WORK_READ, WORK_WRITE, WORK_ASK };

/* Something a tag stands for. Kept until the end, for the checks. */
struct work {
        enum work_kind kind;
        enum coordinator_isolation isolation;
        struct txn_id id;
        bool is_told;
        enum coordinator_outcome told;
        uint64_t told_ts;
        unsigned n_writes[N_SHARDS];     /* statements, of what it wants to commit */
        uint8_t writes[N_SHARDS];        /* keys it has written, of what it wants to commit */
        uint8_t reads[N_SHARDS];         /* keys it has read */
        struct tags read_seen[N_SHARDS]; /* of the shards it has read */
        bool has_read[N_SHARDS];
        uint8_t waits_on;             /* shards whose writer it waits for */
        uint8_t fenced_on;            /* shards where somebody was told that it never commits */
        uint8_t aborted_on;           /* shards that have undone it after telling a vote */
        enum decision_record decided; /* ever, in topo */
        uint64_t decided_ts;
        uint8_t participants; /* of two phases, and the only one of a single phase: shards */
        uint8_t lone;
        struct tags deps;    /* what its session had seen */
        uint64_t request_id; /* of an autocommit write */
};

/* What was read as one moment. */
struct seen {
        unsigned tag, session;
        bool has[N_SHARDS], is_held[N_SHARDS];
        struct tags tags[N_SHARDS];
        uint64_t c[N_SHARDS];
        struct tags told[N_SHARDS]; /* commits that were told before it was asked for */
        struct tags session_seen;
};

enum asked {
        ASKED_PART = 0, /* an Execute or a Savepoint */
        ASKED_PREPARE,
        ASKED_VALIDATE,
        ASKED_END,
        ASKED_FIND,
        ASKED_DECIDE,
        ASKED_PIN,
        ASKED_READ,
        ASKED_WRITE,
        ASKED_FENCE,
};
struct open_request {
        uint64_t number;
        unsigned shard; /* N_SHARDS: topo */
        enum asked what;
        bool is_write;
};

struct session {
        unsigned index, gate;
        uint64_t number; /* rises with each that takes this place */
        uint64_t ts;     /* the largest commit it has seen */
        struct tags seen;
        /* The work under way. */
        bool is_busy;
        bool wakes; /* has done a work, and goes on to the next */
        enum coordinator_outcome last_told;
        enum work_kind kind;
        unsigned tag;
        struct tags told_before;
        struct open_request open[MAX_OPEN];
        size_t n_open;
        /* A transaction. */
        struct coordinator *coordinator;
        uint64_t first_start;
        unsigned n_retries;
        struct op ops[MAX_OPS];
        size_t n_ops, i_op;
        uint64_t savepoint;
        struct op_done done[N_SHARDS][MAX_OPS];
        size_t n_done[N_SHARDS];
        uint8_t to_ask;      /* participants, of the op, after the cut */
        struct seen reading; /* what the op under way reads */
        /* The cut. */
        bool is_cutting;
        struct cut cut;
        struct cut_pin pins[N_SHARDS + 1];
        unsigned cut_shard[N_SHARDS + 1]; /* N_SHARDS: all that was seen before */
        bool has_pinned[N_SHARDS];
        struct tags pinned[N_SHARDS], pinned_told[N_SHARDS];
        uint64_t pinned_c[N_SHARDS];
        /* An autocommit write. */
        unsigned shard, n_tries;
        uint8_t key;
};

struct gate {
        uint64_t epoch; /* 0: none yet */
        uint64_t counter;
        uint64_t streams[N_TABLETS];
        uint64_t schema[N_SHARDS];
};

/* ---------------------------------------------------------------- topo's store */

struct record {
        enum decision_record state;
        uint64_t commit_ts;
        uint8_t left; /* shards */
        uint64_t version;
        bool is_fresh; /* FLAW_DECISION_NOT_DURABLE: not durable yet */
};
struct epoch {
        unsigned gate;
        bool lasts;
        int64_t ends_at;
        uint64_t mark, version;
};

/* ---------------------------------------------------------------- the world */

struct settings {
        uint64_t seed;
        const struct variant *variant; /* NULL: nothing is broken */
        bool is_traced;
};

struct world {
        struct settings settings;
        uint64_t random;
        int64_t now;
        uint64_t n_steps, n_order;
        bool is_calm; /* no more faults, no more work */
        char violation[160];

        /* How bad it is; in thousandths. */
        bool has_streams; /* messages of a stream come in order, and are lost with it */
        unsigned p_drop, p_repeat, p_slow, p_crash, p_break, p_pause, p_clock, p_fail, p_collect,
            p_power;
        int64_t keep_us;
        uint64_t max_prepared_ms;
        enum coordinator_isolation isolation;

        struct event events[MAX_EVENTS];
        size_t n_events;
        struct node nodes[N_NODES];
        struct shard shards[N_SHARDS];
        struct tablet tablets[N_TABLETS];
        struct gate gates[N_GATES];
        struct session sessions[N_SESSIONS];
        struct record records[MAX_TAGS];
        struct epoch epochs[MAX_EPOCHS];
        size_t n_epochs;
        bool has_stream[MAX_STREAMS]; /* open, as its tablet sees it */
        uint8_t stream_tablet[MAX_STREAMS];
        uint64_t last_stream, last_number;

        struct work works[MAX_TAGS];
        unsigned n_tags;
        struct tags told; /* commits that somebody was told of */
        struct seen seen[MAX_SEEN];
        size_t n_seen;

        /* for the figures */
        uint64_t n_crashes, n_commits, n_two_phase, n_aborts, n_cuts, n_unknown;
};
extern struct world w;

static inline unsigned node_of_tablet(unsigned tablet)
{
        return tablet;
}
static inline unsigned node_of_gate(unsigned gate)
{
        return N_TABLETS + gate;
}
static inline unsigned node_of_topo(unsigned topo)
{
        return N_TABLETS + N_GATES + topo;
}
static inline unsigned gate_of_node(unsigned node)
{
        return node - N_TABLETS;
}
static inline unsigned tablet_of_shard(unsigned shard)
{
        return shard % N_TABLETS;
}
static inline bool has_flaw(enum flaw flaw)
{
        return w.settings.variant && w.settings.variant->flaw == flaw;
}

/* ---- world.c: chance, time, events, and what goes wrong */
uint64_t chance(uint64_t n); /* 0 … n - 1 */
bool chance_of(unsigned thousandths);
void trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void violate(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* fn runs at the node, if it is still the same then. Valid until the next one. */
struct event *after(int64_t us, unsigned node, void (*fn)(struct event *e));
int64_t short_time(void);
/* Sends a copy. Messages between a gate and a tablet name the stream, others 0. */
void post(struct message *m);
void deliver(struct event *e);
struct message *message_copy(const struct message *m);
/* Works as node: its clock is the one that ticks. */
struct hlc *clock_of(unsigned node);
void break_stream(unsigned gate, unsigned tablet);
/* Both ends try, again and again. */
void connect_later(unsigned gate, unsigned tablet);
/* One schedule. True: nothing was wrong; else w.violation says what. */
bool run_schedule(const struct settings *s);

/* ---- tablet.c */
void tablet_start(unsigned tablet);
void tablet_crash(unsigned tablet, bool loses_power);
void tablet_on_message(struct message *m);
void tablet_on_stream_lost(unsigned tablet, uint64_t stream);
void tablet_collect(unsigned tablet);
void tablets_done(void);
void shard_pump(struct shard *s);
void shard_reply(struct shard *s, struct request *rq, enum txn_result result, bool is_refused);
uint64_t shard_last_ts(const struct shard *s);
uint64_t shard_floor(const struct shard *s);
uint64_t shard_horizon(const struct shard *s);
uint64_t shard_schema(const struct shard *s);
/* Its row in _shoal_applied; false: none. */
bool shard_applied(const struct shard *s, const struct txn_id *id, uint64_t *ret_ts);
void shard_append(struct shard *s, struct commit *c);
/* Readers see all of it. */
void shard_show(struct shard *s);
bool shard_has_request(const struct shard *s, uint64_t request_id);
void request_free(struct request *rq);
unsigned tag_of(const struct txn_id *id);

/* ---- tablet_jobs.c */
void shard_do(struct shard *s, const struct participant_action *a);

/* ---- gate.c: a gate, its sessions, and their requests */
void gate_start(unsigned gate);
void gate_crash(unsigned gate);
void gate_on_message(struct message *m);
void gate_on_stream_lost(unsigned gate, unsigned tablet);
void gates_done(void);
void session_tick(struct session *s);
int64_t session_deadline(const struct session *s);
struct gate *gate_of(const struct session *s);
unsigned session_node(const struct session *s);
/* Below it no transaction of the gate's epoch will be decided by it. */
uint64_t gate_oldest_counter(unsigned gate);
/* To the shard of m, or to topo (DECIDE). Its reply or its loss comes once, unless the gate
 * crashes. */
void session_send(struct session *s, struct message *m, enum asked what);
/* Carries out what the coordinator wants. */
void session_pump(struct session *s);

/* ---- gate_work.c: what sessions do */
void session_next(struct session *s);
void session_on_told(struct session *s, const struct coordinator_action *a);
void session_on_ended(struct session *s);
/* m NULL: there will be no answer. */
void session_on_reply(struct session *s, const struct open_request *o, const struct message *m);

unsigned work_new_tag(struct session *s, enum work_kind kind);
/* It has ended, whatever came of it. */
void work_finish(struct session *s);
/* What is read as one moment: begin, each shard, end; then what the session has seen for good. */
void work_begin_reading(struct session *s);
void work_read_shard(struct session *s, unsigned shard, const struct tags *tags, uint64_t c,
                     const struct tags *told, bool is_held);
void work_end_reading(struct session *s, uint8_t key);
void work_remember(struct session *s);
/* n of them, as bits. */
uint8_t work_some_shards(unsigned n);

/* ---- gate_single.c: what is no transaction */
void single_begin_write(struct session *s);
void single_on_write_reply(struct session *s, const struct message *m);
void single_begin_read(struct session *s);
void single_on_read_reply(struct session *s, unsigned shard, const struct message *m);
void single_begin_scatter(struct session *s);
/* Somebody wants to know how the latest transaction has ended, and ends it. */
void single_begin_ask(struct session *s);
void single_on_fence_reply(struct session *s, unsigned shard, const struct message *m);

/* ---- gate_cut.c: reads of one moment */
/* Of the shards (bits) that are neither participants nor pinned. seen: what it must fit; then
 * session_on_cut(). */
void session_begin_cut(struct session *s, uint8_t shards, uint64_t seen_c, uint64_t seen_e);
void session_on_pin(struct session *s, unsigned shard, const struct message *m);
void session_on_cut(struct session *s, bool is_accepted);

/* ---- topo.c */
void topo_on_message(struct message *m);
void topo_crash(unsigned topo);
void store_collect(void);
void store_end_lease(unsigned gate);

/* ---- check.c */
void check_commit(struct shard *s, const struct commit *c);
/* Nobody waits in a circle. */
void check_waiting(unsigned tag);
void check_undone(struct shard *s, const struct txn_id *id);
void check_decided(unsigned tag, enum decision_record record, uint64_t commit_ts);
void check_told(unsigned tag, enum coordinator_outcome outcome, uint64_t commit_ts);
/* All has come to an end. */
void check_end(void);
