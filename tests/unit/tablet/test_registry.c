/* test_registry.c - which shards are served, what becomes of dropped keyspaces, and whose the data
 * folder is. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tablet/data_dir.h"
#include "tablet/registry.h"
#include "tests/unit/unit.h"

static struct {
        char dir[64];
        struct loop *loop;
        struct hlc hlc;
        struct pool *pool;
        struct engine *engine;
        struct registry *registry;
} w;

/* In one of four buffers used in turn. */
static const char *path(const char *name)
{
        static char paths[4][160];
        static unsigned n;
        char *p = paths[n++ % 4];

        snprintf(p, sizeof paths[0], "%s/%s", w.dir, name);
        return p;
}

static bool is_there(const char *name)
{
        return access(path(name), F_OK) == 0;
}

static void open_registry(void)
{
        struct engine_options eo = { .data_dir = w.dir, .writers = w.pool, .hlc = &w.hlc };
        struct registry_options ro = {
                .loop = w.loop, .pool = w.pool, .id = "tablet-0", .data_dir = w.dir
        };
        struct err e = ERR_INIT;

        ck_assert_int_eq(engine_new(&eo, &w.engine, &e), ERR_OK);
        ro.engine = w.engine;
        ck_assert_msg(registry_new(&ro, &w.registry, &e) == ERR_OK, "%s", e.msg);
}

static void on_closed(void *arg)
{
        *(bool *)arg = true;
}

static void close_registry(void)
{
        bool is_closed = false;

        registry_close(w.registry, on_closed, &is_closed);
        loop_run_until(w.loop, &is_closed);
        w.registry = registry_free(w.registry);
        w.engine = engine_free(w.engine);
}

static void set_up(void)
{
        unit_temp_template(w.dir, sizeof w.dir, "shoal-tablet");
        ck_assert(mkdtemp(w.dir) != NULL);
        hlc_init(&w.hlc, wall_us, 500 * 1000);
        w.loop = loop_new();
        w.pool = pool_new("worker", 2);
        open_registry();
}

static void tear_down(void)
{
        char command[128];

        close_registry();
        pool_free(w.pool);
        loop_free(w.loop);
        snprintf(command, sizeof command, "rm -rf '%s'", w.dir);
        ck_assert_int_eq(system(command), 0);
}

/* ---- topologies: "id:shard@tablet#epoch,…;id:…" */

struct picture {
        Shoal__V1__Topology topology;
        Shoal__V1__Keyspace keyspaces[4], *keyspace_refs[4];
        Shoal__V1__Shard shards[4][4], *shard_refs[4][4];
        char text[256];
};

static void add_shards(struct picture *p, size_t k, char *text)
{
        Shoal__V1__Keyspace *ks = &p->keyspaces[k];
        char *save, *word;

        for (word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
                Shoal__V1__Shard *s = &p->shards[k][ks->n_shards];

                shoal__v1__shard__init(s);
                s->name = word;
                s->tablet = strchr(word, '@') + 1;
                s->epoch = strtoull(strchr(word, '#') + 1, NULL, 10);
                *strchr(word, '@') = *strchr(s->tablet, '#') = '\0';
                p->shard_refs[k][ks->n_shards++] = s;
        }
}

static void apply(uint64_t version, uint64_t schema_version, const char *text)
{
        static struct picture p;
        char *save, *word;

        memset(&p, 0, sizeof p);
        shoal__v1__topology__init(&p.topology);
        snprintf(p.text, sizeof p.text, "%s", text);
        for (word = strtok_r(p.text, ";", &save); word; word = strtok_r(NULL, ";", &save)) {
                size_t k = p.topology.n_keyspaces++;

                shoal__v1__keyspace__init(&p.keyspaces[k]);
                p.keyspaces[k].id = strtoull(word, NULL, 10);
                p.keyspaces[k].schema_version = schema_version;
                p.keyspaces[k].shards = p.shard_refs[k];
                p.keyspace_refs[k] = &p.keyspaces[k];
                add_shards(&p, k, strchr(word, ':') + 1);
        }
        p.topology.version = version;
        p.topology.keyspaces = p.keyspace_refs;
        registry_apply(w.registry, &p.topology);
}

/* "ok", or the reason; lets go at once. */
static const char *hold(uint64_t keyspace_id, const char *name, uint64_t epoch)
{
        static struct err e;
        struct served_shard *s;

        if (registry_hold(w.registry, keyspace_id, name, strlen(name), epoch, &s, &e))
                return e.reason;
        registry_let_go(s);
        return "ok";
}

struct looking {
        struct loop_timer timer;
        bool (*cond)(void);
        bool is_true;
};

static void look(struct loop_timer *t)
{
        struct looking *x = CONTAINER_OF(t, struct looking, timer);

        x->is_true = x->cond();
        if (!x->is_true)
                loop_timer_set(w.loop, t, mono_us() + 1000);
}

static void until(bool (*cond)(void))
{
        struct looking x = { .timer.fn = look, .cond = cond };

        look(&x.timer);
        loop_run_until(w.loop, &x.is_true);
}

/* ---- what is served */

#define NO "SHARD_NOT_SERVED"

START_TEST(serves_what_topo_says)
{
        ck_assert(!registry_is_ready(w.registry));
        ck_assert_str_eq(hold(1, "-80", 1), NO);
        apply(5, 0, "1:-80@tablet-0#1,80-@tablet-1#1;2:-@tablet-0#7");
        ck_assert(registry_is_ready(w.registry));
        ck_assert_uint_eq(registry_version(w.registry), 5);
        ck_assert_uint_eq(registry_n_shards(w.registry), 2);
        ck_assert_str_eq(hold(1, "-80", 1), "ok");
        ck_assert_str_eq(hold(1, "80-", 1), NO);
        ck_assert_str_eq(hold(2, "-", 7), "ok");
        ck_assert_str_eq(hold(2, "-", 6), NO);
        ck_assert_str_eq(hold(2, "-", 8), NO);
        /* Another tablet's turn, and another epoch. */
        apply(6, 0, "1:-80@tablet-1#2,80-@tablet-0#2;2:-@tablet-0#8");
        ck_assert_str_eq(hold(1, "-80", 2), NO);
        ck_assert_str_eq(hold(1, "80-", 2), "ok");
        ck_assert_str_eq(hold(2, "-", 7), NO);
        ck_assert_str_eq(hold(2, "-", 8), "ok");
}
END_TEST

static const struct {
        const char *label, *name;
} names[] = { { "a path", "../x" },
              { "odd digits", "-8" },
              { "nothing", "" },
              { "no range", "abc" },
              { "upside down", "80-40" } };

START_TEST(odd_names_are_not_served)
{
        char text[64];

        snprintf(text, sizeof text, "1:%s@tablet-0#1,-80@tablet-0#1", names[_i].name);
        apply(1, 0, text);
        ck_assert_msg(strcmp(hold(1, names[_i].name, 1), NO) == 0, "%s", names[_i].label);
        ck_assert_str_eq(hold(1, "-80", 1), "ok");
}
END_TEST

static bool version_is_noted(void)
{
        char text[64] = "";
        FILE *f = fopen(path("topology"), "r");

        if (f) {
                text[fread(text, 1, sizeof text - 1, f)] = '\0';
                fclose(f);
        }
        return strcmp(text, "version 9\n") == 0;
}

/* topo restored from an old copy: what it says is not acted on, also after a restart. */
START_TEST(topologies_do_not_go_back)
{
        apply(9, 0, "1:-@tablet-0#3");
        apply(8, 0, "");
        ck_assert_str_eq(hold(1, "-", 3), "ok");
        until(version_is_noted);
        close_registry();
        open_registry();
        apply(8, 0, "1:-@tablet-0#2");
        ck_assert(!registry_is_ready(w.registry));
        ck_assert_str_eq(hold(1, "-", 2), NO);
        apply(9, 0, "1:-@tablet-0#3");
        ck_assert_str_eq(hold(1, "-", 3), "ok");
}
END_TEST

/* A shard that nobody has asked for has no file, and gets none when it is closed. */
START_TEST(unused_shards_leave_nothing)
{
        apply(1, 0, "1:-@tablet-0#1");
        close_registry();
        ck_assert(!is_there("1"));
        open_registry();
}
END_TEST

/* ---- dropped keyspaces */

static void make_folder(const char *name)
{
        char file[200];
        FILE *f;

        ck_assert_int_eq(mkdir(path(name), 0700), 0);
        snprintf(file, sizeof file, "%s/-.db", path(name));
        f = fopen(file, "w");
        ck_assert(f != NULL);
        fclose(f);
}

static bool folder_2_is_gone(void)
{
        return !is_there("2") && is_there("dropped");
}

START_TEST(dropped_keyspaces_move_away)
{
        char command[200];

        make_folder("1");
        make_folder("2");
        make_folder("other");
        make_folder("007");
        apply(1, 0, "1:-@tablet-0#1;2:-@tablet-1#1"); /* 2 is somewhere else, but it is */
        apply(2, 0, "1:-@tablet-0#1");
        until(folder_2_is_gone);
        ck_assert(is_there("1") && is_there("other") && is_there("007"));
        snprintf(command, sizeof command, "test -e '%s'/2-*/-.db", path("dropped"));
        ck_assert_int_eq(system(command), 0);
}
END_TEST

/* Not while somebody reads there. */
START_TEST(dropped_keyspaces_are_finished_first)
{
        struct served_shard *s;
        struct err e;

        make_folder("2");
        apply(1, 0, "1:-@tablet-0#1;2:-@tablet-0#1");
        ck_assert_int_eq(registry_hold(w.registry, 2, "-", 1, 1, &s, &e), ERR_OK);
        apply(9, 0, "1:-@tablet-0#1");
        ck_assert_str_eq(hold(2, "-", 1), NO);
        until(version_is_noted); /* the folders have been looked at */
        ck_assert(is_there("2"));
        registry_let_go(s);
        until(folder_2_is_gone);
}
END_TEST

static char gone[16];

static bool gone_is_gone(void)
{
        return !is_there(gone);
}

/* Topologies that come faster than the disk works: no keyspace that is there loses its folder. */
START_TEST(new_keyspaces_keep_their_folders)
{
        char text[64], name[16];

        for (int i = 1; i <= 30; i++) {
                snprintf(text, sizeof text, "%d:-@tablet-0#1;%d:-@tablet-0#1", i, i + 1);
                apply((uint64_t)i, 0, text);
                snprintf(name, sizeof name, "%d", i + 1);
                make_folder(name);
                if (i > 3) { /* so that the loop and the disk get on with it */
                        snprintf(gone, sizeof gone, "%d", i - 1);
                        if (i % 3 == 0)
                                until(gone_is_gone);
                }
                ck_assert(is_there(name));
        }
        close_registry();
        open_registry();
        ck_assert(is_there("31") && is_there("30"));
}
END_TEST

struct sized {
        struct registry_sizes sizes;
        bool done;
};

static void on_measured(void *arg, const struct registry_sizes *sizes)
{
        struct sized *s = arg;

        s->sizes = *sizes;
        s->done = true;
}

START_TEST(measures)
{
        struct sized s = { .done = false };
        FILE *f;

        make_folder("1");
        f = fopen(path("1/-.db"), "w");
        fwrite("0123456789", 1, 10, f);
        fclose(f);
        apply(1, 0, "1:-@tablet-0#1;2:-@tablet-0#1");
        registry_measure(w.registry, on_measured, &s);
        loop_run_until(w.loop, &s.done);
        ck_assert_uint_eq(s.sizes.n_shards, 2);
        ck_assert_uint_eq(s.sizes.bytes_used, 10);
        ck_assert_uint_gt(s.sizes.bytes_capacity, 10);
}
END_TEST

START_TEST(a_damaged_note)
{
        struct registry_options ro = { .id = "tablet-0", .data_dir = w.dir };
        struct registry *r = NULL;
        struct err e = ERR_INIT;
        FILE *f = fopen(path("topology"), "w");

        fputs("versio", f);
        fclose(f);
        ck_assert_int_eq(registry_new(&ro, &r, &e), ERR_DATA_LOSS);
        ck_assert_int_eq(unlink(path("topology")), 0);
}
END_TEST

/* ---- the folder's owner */

static const struct {
        const char *label, *first, *second;
        bool still_held;
        const char *want;
} takes[] = {
        { "again", "tablet-0", "tablet-0", false, "" },
        { "another tablet", "tablet-0", "tablet-1", false, "DATA_DIR_OF_ANOTHER" },
        { "one whose name begins alike", "tablet-1", "tablet-10", false, "DATA_DIR_OF_ANOTHER" },
        { "at the same time", "tablet-0", "tablet-0", true, "DATA_DIR_LOCKED" },
        { "another at the same time", "tablet-0", "tablet-1", true, "DATA_DIR_LOCKED" },
};

START_TEST(one_tablet_a_folder)
{
        struct err e = ERR_INIT;
        int first, second;

        ck_assert_int_eq(data_dir_take(path("own"), takes[_i].first, &first, &e), ERR_OK);
        if (!takes[_i].still_held)
                close(first);
        if (data_dir_take(path("own"), takes[_i].second, &second, &e) == ERR_OK)
                close(second);
        if (takes[_i].still_held)
                close(first);
        ck_assert_msg(strcmp(e.reason, takes[_i].want) == 0, "%s: %s", takes[_i].label, e.reason);
}
END_TEST

START_TEST(a_folder_that_cannot_be)
{
        struct err e = ERR_INIT;
        int fd;

        ck_assert_int_eq(data_dir_take("/proc/shoal", "tablet-0", &fd, &e), ERR_UNAVAILABLE);
        ck_assert_str_eq(e.reason, "DATA_DIR");
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("registry");
        TCase *t = tcase_create("shards");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_set_timeout(t, 50);
        tcase_add_test(t, serves_what_topo_says);
        tcase_add_loop_test(t, odd_names_are_not_served, 0, ARRAY_LEN(names));
        tcase_add_test(t, topologies_do_not_go_back);
        tcase_add_test(t, unused_shards_leave_nothing);
        tcase_add_test(t, dropped_keyspaces_move_away);
        tcase_add_test(t, dropped_keyspaces_are_finished_first);
        tcase_add_test(t, new_keyspaces_keep_their_folders);
        tcase_add_test(t, measures);
        tcase_add_test(t, a_damaged_note);
        tcase_add_loop_test(t, one_tablet_a_folder, 0, ARRAY_LEN(takes));
        tcase_add_test(t, a_folder_that_cannot_be);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
