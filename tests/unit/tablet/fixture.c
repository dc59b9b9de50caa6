/* fixture.c - see fixture.h. */
#include "tests/unit/tablet/fixture.h"

#include <check.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/wire.h"
#include "tests/unit/unit.h"

/* ---- the engine */

void env_init_in(struct env *env, const char *where)
{
        memset(env, 0, sizeof *env);
        snprintf(env->dir, sizeof env->dir, "%s/shoal-tablet-XXXXXX", where);
        ck_assert_msg(mkdtemp(env->dir) != NULL, "mkdtemp %s", env->dir);
        hlc_init(&env->hlc, wall_us, 60 * 1000 * 1000);
}

void env_init(struct env *env)
{
        const char *folder = getenv("TMPDIR");

        env_init_in(env, folder && *folder ? folder : "/tmp");
}

void env_open(struct env *env)
{
        struct err e = ERR_INIT;

        env->writers = pool_new("writer", ENV_WRITER_THREADS);
        env->o.data_dir = env->dir;
        env->o.writers = env->writers;
        env->o.hlc = &env->hlc;
        ck_assert_msg(engine_new(&env->o, &env->engine, &e) == ERR_OK, "%s", e.msg);
        env->shard = engine_shard_new(env->engine, 1, "-", false);
}

void env_close(struct env *env)
{
        struct write_try r;

        request_init(&r, env, ENGINE_WRITE_CLOSE, "");
        request_submit(&r);
        request_wait(&r);
        request_done(&r);
        env->shard = engine_shard_free(env->shard);
        env->engine = engine_free(env->engine);
        env->writers = pool_free(env->writers);
}

static void run_shell(const char *fmt, const char *a, const char *b)
{
        cleanup_(freep) char *command = xasprintf("set -e; a='%s'; b='%s'; %s", a, b, fmt);

        ck_assert_msg(system(command) == 0, "%s", command);
}

void env_done(struct env *env)
{
        if (env->engine)
                env_close(env);
        run_shell("rm -rf \"$a\"", env->dir, "");
}

void env_crash(struct env *env)
{
        char copy[64];

        unit_temp_template(copy, sizeof copy, "shoal-tablet");
        ck_assert(mkdtemp(copy) != NULL);
        /* The shared memory of the log's index does not survive. */
        run_shell("cp -r \"$a/.\" \"$b\"; rm -f \"$b\"/*/*-shm", env->dir, copy);
        env_close(env);
        run_shell("rm -rf \"$a\"", env->dir, "");
        snprintf(env->dir, sizeof env->dir, "%s", copy);
}

static void run_blocker(struct pool_job *job)
{
        struct blocker *b = CONTAINER_OF(job, struct blocker, job);

        sem_post(&b->started);
        sem_wait(&b->go);
        sem_post(&b->ended);
}

void env_hold(struct env *env)
{
        for (int i = 0; i < ENV_WRITER_THREADS; i++) {
                struct blocker *b = &env->blockers[i];

                b->job.run = run_blocker;
                sem_init(&b->started, 0, 0);
                sem_init(&b->go, 0, 0);
                sem_init(&b->ended, 0, 0);
                pool_submit(env->writers, &b->job);
        }
        for (int i = 0; i < ENV_WRITER_THREADS; i++)
                sem_wait(&env->blockers[i].started);
}

void env_release(struct env *env)
{
        for (int i = 0; i < ENV_WRITER_THREADS; i++)
                sem_post(&env->blockers[i].go);
        for (int i = 0; i < ENV_WRITER_THREADS; i++)
                sem_wait(&env->blockers[i].ended);
}

/* ---- results as text */

static void add(char *text, size_t n_bytes, const char *fmt, ...) printf_(3, 4);
static void add(char *text, size_t n_bytes, const char *fmt, ...)
{
        size_t n = strlen(text);
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text + n, n_bytes - n, fmt, ap);
        va_end(ap);
}

static void describe_value(const struct wire_field *f, char *text, size_t n_text)
{
        struct err e = ERR_INIT;
        struct value v;

        ck_assert_msg(value_decode(f->data, f->n_bytes, &v, &e) == ERR_OK, "%s", e.msg);
        switch (v.type) {
        case VALUE_INTEGER:
                add(text, n_text, "%" PRId64, v.integer);
                break;
        case VALUE_REAL:
                add(text, n_text, "%g", v.real);
                break;
        case VALUE_TEXT:
                add(text, n_text, "%.*s", (int)v.n_bytes, (const char *)v.data);
                break;
        case VALUE_BLOB:
                add(text, n_text, "blob(%zu)", v.n_bytes);
                break;
        case VALUE_NULL:
                add(text, n_text, "NULL");
                break;
        }
}

static void describe_row(const struct wire_field *row, char *text, size_t n_text)
{
        struct wire_reader r = wire_reader(row->data, row->n_bytes);
        struct wire_field f;
        const char *separator = "";

        while (wire_next(&r, &f)) {
                ck_assert_uint_eq(f.number, 1);
                add(text, n_text, "%s", separator);
                describe_value(&f, text, n_text);
                separator = "|";
        }
        ck_assert(!r.failed);
        add(text, n_text, ";");
}

static void describe_column(const struct wire_field *column, char *text, size_t n_text)
{
        struct wire_reader r = wire_reader(column->data, column->n_bytes);
        struct wire_field f;

        while (wire_next(&r, &f))
                add(text, n_text, "%s%.*s", f.number == 2 ? ":" : "", (int)f.n_bytes,
                    (const char *)f.data);
        add(text, n_text, ",");
}

void describe_result(const void *p, size_t n_bytes, char *text, size_t n_text, char *columns,
                     size_t n_columns)
{
        struct wire_reader r = wire_reader(p, n_bytes);
        struct wire_field f;

        while (wire_next(&r, &f)) {
                if (f.number == 1)
                        describe_column(&f, columns, n_columns);
                else if (f.number == 2)
                        describe_row(&f, text, n_text);
                else if (f.number == 3)
                        add(text, n_text, "changes=%" PRId64 " ", (int64_t)f.uint);
                else if (f.number == 4)
                        add(text, n_text, "id=%" PRId64 " ", (int64_t)f.uint);
        }
        ck_assert(!r.failed);
}

static _Thread_local char last_message[ERR_MSG_BYTES];

const char *env_message(void)
{
        return last_message;
}

static void describe(struct outcome *o, const struct buf *b)
{
        snprintf(last_message, sizeof last_message, "%s", o->err.msg);
        if (o->err.code) {
                snprintf(o->text, sizeof o->text, "%s %s", err_code_name(o->err.code),
                         o->err.reason);
                return;
        }
        describe_result(b->data, b->n_bytes, o->text, sizeof o->text, o->columns,
                        sizeof o->columns);
}

/* ---- writes */

static void finish_request(struct engine_write *w)
{
        struct write_try *r = CONTAINER_OF(w, struct write_try, w);
        struct outcome *o = &r->outcome;

        if (w->failure)
                o->err = *w->failure;
        describe(o, &w->result);
        o->n_rows = w->n_rows;
        o->commit_ts = w->commit_ts;
        o->replayed = w->replayed;
        snprintf(o->note, sizeof o->note, "%.*s", (int)w->note.n_bytes, (const char *)w->note.data);
        pthread_mutex_lock(&r->mu);
        r->is_done = true;
        if (r->n_done)
                (*r->n_done)++;
        pthread_cond_signal(&r->cond);
        pthread_mutex_unlock(&r->mu);
}

void request_init(struct write_try *r, struct env *env, enum engine_write_kind kind,
                  const char *sql)
{
        memset(r, 0, sizeof *r);
        r->st = (struct engine_stmt){
                .sql = sql,
                .n_sql_bytes = strlen(sql),
                .schema_version = env->schema_version,
                .now_ms = 1700000000000,
                .deadline_us = INT64_MAX,
        };
        engine_write_init(&r->w, kind, env->shard, &r->st, finish_request);
        r->outcome.err = (struct err)ERR_INIT;
        pthread_mutex_init(&r->mu, NULL);
        pthread_cond_init(&r->cond, NULL);
}

void request_submit(struct write_try *r)
{
        struct err e = ERR_INIT;

        if (engine_write_submit(&r->w, &e) == ERR_OK)
                return;
        r->w.failure = xmalloc(sizeof e);
        *r->w.failure = e;
        finish_request(&r->w);
}

const struct outcome *request_wait(struct write_try *r)
{
        pthread_mutex_lock(&r->mu);
        while (!r->is_done)
                pthread_cond_wait(&r->cond, &r->mu);
        pthread_mutex_unlock(&r->mu);
        return &r->outcome;
}

void request_done(struct write_try *r)
{
        engine_write_done(&r->w);
        pthread_mutex_destroy(&r->mu);
        pthread_cond_destroy(&r->cond);
}

void env_write_with(struct env *env, const char *sql, const struct value *params, size_t n,
                    struct outcome *ret)
{
        struct write_try r;

        request_init(&r, env, ENGINE_WRITE_EXECUTE, sql);
        r.st.params = params;
        r.st.n_params = n;
        request_submit(&r);
        *ret = *request_wait(&r);
        request_done(&r);
}

const char *env_write(struct env *env, const char *sql)
{
        static struct outcome o;

        env_write_with(env, sql, NULL, 0, &o);
        return o.text;
}

void env_ready(struct env *env, uint64_t min_ts)
{
        struct write_try r;

        request_init(&r, env, ENGINE_WRITE_READY, "");
        r.w.min_ts = min_ts;
        request_submit(&r);
        ck_assert_str_eq(request_wait(&r)->text, "");
        request_done(&r);
}

const char *env_schema(struct env *env, uint64_t version, const char *id, const char *sql,
                       const char *undo_sql, bool undo)
{
        static struct outcome o;
        struct engine_schema_change change = {
                .version = version, .sql = sql, .undo_sql = undo_sql, .undo = undo
        };
        struct write_try r;
        char name[32];

        snprintf(name, sizeof name, "c%" PRIu64, version);
        change.change_id = id ? id : name;
        request_init(&r, env, ENGINE_WRITE_SCHEMA, "");
        r.w.change = &change;
        request_submit(&r);
        o = *request_wait(&r);
        request_done(&r);
        return o.err.code ? o.text : "OK";
}

/* ---- reads */

void env_read_with(struct env *env, const struct engine_stmt *st, uint64_t read_ts,
                   struct outcome *ret)
{
        struct buf out = BUF_INIT(0);
        struct engine_pin p = { 0 };
        struct engine_read r;
        bool more;

        memset(ret, 0, sizeof *ret);
        ret->err = (struct err)ERR_INIT;
        if (!engine_pin_is_ready(env->shard, read_ts, false))
                env_ready(env, 0);
        if (read_ts && engine_pin_open(&p, env->shard, read_ts, &ret->err)) {
                describe(ret, &out);
                return;
        }
        engine_read_init(&r, env->shard, st, read_ts ? &p : NULL);
        do {
                if (engine_read_run(&r, 0, &out, &more, &ret->err))
                        break;
        } while (more);
        describe(ret, &out);
        ret->n_rows = r.count.n_rows;
        ret->cut_c = p.cut_c;
        ret->cut_e = p.cut_e;
        engine_read_done(&r);
        engine_pin_close(&p);
        buf_done(&out);
}

const char *env_read(struct env *env, const char *sql)
{
        static struct outcome o;
        struct engine_stmt st = {
                .sql = sql,
                .n_sql_bytes = strlen(sql),
                .schema_version = env->schema_version,
                .now_ms = 1700000000000,
                .deadline_us = INT64_MAX,
        };

        env_read_with(env, &st, 0, &o);
        return o.text;
}
