/* sequence_world.h - shards and topo for sequences under test: a SQLite table that takes explicit
 * rowids only, and ranges by the rules of topo/sequences.h. */
#pragma once

#include <sqlite3.h>

#include "gate/sequence_int.h"

enum { WORLD_MAX_GATES = 3, WORLD_MAX_QUESTIONS = 256, WORLD_RANGE = 8 };

struct world;

struct world_gate {
        struct world *world;
        struct sequences *sequences;
        uint64_t epoch; /* 0: it has lost its lease */
        bool has_range;
};

/* Asked, not answered yet. */
struct world_question {
        struct sequence *sequence;
        struct world_gate *gate;
        bool is_allocation, has_largest;
        int64_t largest; /* when it was asked: the answer may be old when it comes */
        int64_t above;
        uint64_t count;
};

struct world {
        sqlite3 *db;
        bool autoincrement;
        struct world_gate gates[WORLD_MAX_GATES];
        struct world_question questions[WORLD_MAX_QUESTIONS];
        size_t n_questions;
        size_t n_asked, n_allocated; /* so far */
        int64_t high, now_us;
        uint64_t last_epoch, n_random;
        uint64_t next_random; /* what the next random bits are; 0: any */
        struct err failure;   /* of every question, while its code is set */
        struct catalog_table table;
        int shard_column;
        struct route route;
        int route_slot;
};

/* CREATE TABLE t(id INTEGER PRIMARY KEY [AUTOINCREMENT], u UNIQUE). by_rowid: the id decides the
 * shard. */
void world_init(struct world *w, bool autoincrement, bool by_rowid);
void world_done(struct world *w);
/* A gate process with this number starts, or starts again: nothing is known, the epoch is new. */
void world_start_gate(struct world *w, size_t i);
/* Answers the i-th question. */
void world_answer(struct world *w, size_t i);
/* Answers until none is left. */
void world_settle(struct world *w);
/* Runs SQL on db, formatted by sqlite3_vmprintf; *e as the shard would report it. */
void world_sql(sqlite3 *db, struct err *ret_err, const char *fmt, ...);
