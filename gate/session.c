/* session.c - the sessions of this gate: names, who is inside, limits. Loop thread. */
#include "gate/session.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "common/log.h"
#include "gate/transaction.h"

enum { OVER_MS = 60000 }; /* how long a COMMIT may be asked about whose session has ended */

/* Owner: the loop thread. */
struct sessions {
        struct sessions_options options;
        uint64_t seed; /* of the hash: how long a search takes tells nothing about names */
        struct session *by_hash;
};

/* ---- names */

static void fill_random(void *p, size_t n_bytes)
{
        while (getrandom(p, n_bytes, 0) != (ssize_t)n_bytes)
                ;
}

static uint64_t hash_bits(const struct sessions *all, const uint8_t *bits)
{
        return XXH3_64bits_withSeed(bits, SESSION_BITS_BYTES, all->seed);
}

static int digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum err_code fail_unknown(struct err *reterr)
{
        return err_set(reterr, ERR_NOT_FOUND, "SESSION_NOT_FOUND",
                       "there is no such session, or it has ended");
}

/* "GATE-EPOCH-BITS", from the end: the gate's id may hold hyphens. */
static bool parse_name(const char *name, size_t n_bytes, struct session_place *ret_place,
                       uint8_t *ret_bits)
{
        enum { BITS_CHARS = 2 * SESSION_BITS_BYTES };
        const char *bits, *epoch;

        if (n_bytes >= SESSION_NAME_BYTES || n_bytes < BITS_CHARS + 4)
                return false;
        bits = name + n_bytes - BITS_CHARS;
        for (size_t i = 0; i < BITS_CHARS; i++) {
                if (digit(bits[i]) < 0)
                        return false;
                ret_bits[i / 2] = (uint8_t)(ret_bits[i / 2] << 4 | digit(bits[i]));
        }
        if (bits[-1] != '-')
                return false;
        for (epoch = bits - 1; epoch > name && epoch[-1] != '-'; epoch--)
                if (digit(epoch[-1]) < 0)
                        return false;
        if (epoch < name + 2 || bits - 1 - epoch < 1 || bits - 1 - epoch > 16 ||
            (size_t)(epoch - 1 - name) >= sizeof(ret_place->gate))
                return false;
        memcpy(ret_place->gate, name, (size_t)(epoch - 1 - name));
        ret_place->gate[epoch - 1 - name] = '\0';
        ret_place->epoch = 0;
        for (; epoch < bits - 1; epoch++)
                ret_place->epoch = ret_place->epoch << 4 | (uint64_t)digit(*epoch);
        return true;
}

enum err_code sessions_place(const struct sessions *all, const char *name, size_t n_bytes,
                             struct session_place *ret_place, struct err *reterr)
{
        uint8_t bits[SESSION_BITS_BYTES] = { 0 };

        if (!parse_name(name, n_bytes, ret_place, bits))
                return fail_unknown(reterr);
        ret_place->is_here = strcmp(ret_place->gate, all->options.gate_id) == 0;
        return ERR_OK;
}

/* In a time that does not depend on where they differ. */
static bool same_bits(const uint8_t *a, const uint8_t *b)
{
        volatile uint8_t different = 0;

        for (size_t i = 0; i < SESSION_BITS_BYTES; i++)
                different |= a[i] ^ b[i];
        return !different;
}

static struct session *find(const struct sessions *all, const char *name, size_t n_bytes)
{
        uint8_t bits[SESSION_BITS_BYTES] = { 0 };
        struct session_place place;
        struct session *s;
        uint64_t hash;

        if (!parse_name(name, n_bytes, &place, bits))
                return NULL;
        hash = hash_bits(all, bits);
        HASH_FIND(hh, all->by_hash, &hash, sizeof(hash), s);
        if (!s || s->is_closed || !same_bits(s->bits, bits) || strlen(s->name) != n_bytes ||
            memcmp(s->name, name, n_bytes) != 0)
                return NULL;
        return s;
}

/* ---- life */

static void free_session(struct session *s)
{
        struct sessions *all = s->all;

        session_end_transaction(s);
        HASH_DEL(all->by_hash, s);
        loop_timer_cancel(all->options.loop, &s->timer);
        savepoints_done(&s->savepoints);
        free(s->keyspace);
        free(s);
}

/* 0: never. */
static uint64_t limit_ms(const struct session *s)
{
        const struct sessions_options *o = &s->all->options;

        if (s->is_over)
                return OVER_MS;
        return s->transaction && o->transaction_idle_ms ? o->transaction_idle_ms : o->idle_ms;
}

static void arm(struct session *s)
{
        uint64_t ms = limit_ms(s);
        int64_t at_us = s->left_us + (int64_t)ms * 1000;

        if (!ms)
                at_us = INT64_MAX;
        if (s->transaction && s->transaction->deadline_us < at_us)
                at_us = s->transaction->deadline_us;
        if (at_us != INT64_MAX)
                loop_timer_set(s->all->options.loop, &s->timer, at_us);
        else
                loop_timer_cancel(s->all->options.loop, &s->timer);
}

static void on_timer(struct loop_timer *timer)
{
        struct session *s = CONTAINER_OF(timer, struct session, timer);
        struct err e = ERR_INIT;

        if (!s->transaction || s->is_in_doubt) {
                free_session(s);
                return;
        }
        err_set(&e, ERR_ABORTED, "TRANSACTION_TIMEOUT",
                "the transaction was open, or nothing was done in it, for too long: it was rolled "
                "back");
        session_break_transaction(s, &e);
        arm(s);
}

enum err_code sessions_open(struct sessions *all, const char *keyspace, size_t n_bytes,
                            uint64_t epoch, struct session **ret_session, struct err *reterr)
{
        struct session *s, *same;

        if (HASH_COUNT(all->by_hash) >= all->options.max_sessions)
                return err_set(reterr, ERR_EXHAUSTED, "TOO_MANY_SESSIONS",
                               "this gate has %" PRIu64 " sessions already",
                               all->options.max_sessions);
        s = xcalloc(1, sizeof(*s));
        s->all = all;
        s->keyspace = xstrndup(keyspace ? keyspace : "", n_bytes);
        s->timer.fn = on_timer;
        s->is_entered = true;
        s->broken = (struct err)ERR_INIT;
        do {
                fill_random(s->bits, sizeof(s->bits));
                s->hash = hash_bits(all, s->bits);
                HASH_FIND(hh, all->by_hash, &s->hash, sizeof(s->hash), same);
        } while (same);
        HASH_ADD(hh, all->by_hash, hash, sizeof(s->hash), s);
        n_bytes = (size_t)snprintf(s->name, sizeof(s->name), "%s-%" PRIx64 "-",
                                   all->options.gate_id, epoch);
        for (size_t i = 0; i < sizeof(s->bits); i++)
                snprintf(s->name + n_bytes + 2 * i, 3, "%02x", s->bits[i]);
        *ret_session = s;
        return ERR_OK;
}

bool session_is_of(const struct session *s, const char *keyspace, size_t n_bytes)
{
        const char *name = *s->keyspace ? s->keyspace : "main";

        return !n_bytes ? strcmp(name, "main") == 0
                        : strlen(name) == n_bytes && memcmp(name, keyspace, n_bytes) == 0;
}

enum err_code sessions_enter(struct sessions *all, const char *name, size_t n_bytes, bool over,
                             struct session **ret_session, struct err *reterr)
{
        struct session *s = find(all, name, n_bytes);

        if (!s || (s->is_over && !over))
                return fail_unknown(reterr);
        if (s->is_entered)
                return err_set(reterr, ERR_PRECONDITION, "SESSION_BUSY",
                               "another call is under way in the session");
        s->is_entered = true;
        loop_timer_cancel(all->options.loop, &s->timer);
        *ret_session = s;
        return ERR_OK;
}

void session_leave(struct session *s)
{
        if (!s)
                return;
        assert(s->is_entered);
        s->is_entered = false;
        s->left_us = mono_us();
        if (s->ends_with_transaction && !s->savepoints.is_open) {
                s->is_over = s->has_ended;
                s->is_closed = s->is_closed || !s->has_ended;
        }
        if (s->is_closed)
                free_session(s);
        else
                arm(s);
}

void session_close(struct session *s)
{
        s->is_closed = true;
}

enum err_code sessions_close(struct sessions *all, const char *name, size_t n_bytes,
                             struct err *reterr)
{
        struct session *s = find(all, name, n_bytes);

        if (!s || s->is_over)
                return fail_unknown(reterr);
        s->is_closed = true;
        if (!s->is_entered)
                free_session(s);
        return ERR_OK;
}

/* ---- its transaction */

void session_end_transaction(struct session *s)
{
        s->transaction = transaction_free(s->transaction);
        savepoints_end(&s->savepoints);
        s->broken = (struct err)ERR_INIT;
        s->is_in_doubt = false;
}

void session_note_end(struct session *s, const struct err *e)
{
        s->last_id = s->transaction->id;
        s->last_end = *e;
        s->has_ended = true;
}

void session_break_transaction(struct session *s, const struct err *e)
{
        if (!s->transaction)
                return;
        s->transaction = transaction_free(s->transaction);
        s->broken = *e;
}

/* ---- all of them */

struct sessions *sessions_new(const struct sessions_options *o)
{
        struct sessions *all = xcalloc(1, sizeof(*all));

        all->options = *o;
        fill_random(&all->seed, sizeof(all->seed));
        return all;
}

struct sessions *sessions_free(struct sessions *all)
{
        if (!all)
                return NULL;
        while (all->by_hash)
                free_session(all->by_hash);
        free(all);
        return NULL;
}

size_t sessions_count(const struct sessions *all)
{
        return HASH_COUNT(all->by_hash);
}
