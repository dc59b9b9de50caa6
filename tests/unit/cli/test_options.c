/* test_options.c - command lines, good and bad, and where the servers are. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/admin.h"
#include "cli/options.h"
#include "cli/places.h"
#include "common/util.h"
#include "tests/unit/unit.h"

enum { MAX_WORDS = 12 };

/* copy: room for the line, which the options refer to. */
static enum err_code parse(const char *line, char *copy, struct options *o, struct err *e)
{
        static char *argv[MAX_WORDS + 1]; /* the options refer to it */
        int argc = 0;

        strcpy(copy, line);
        for (char *word = strtok(copy, " "); word && argc < MAX_WORDS; word = strtok(NULL, " "))
                argv[argc++] = word;
        argv[argc] = NULL;
        return options_parse(argc, argv, o, e);
}

/* clang-format off */
static const struct {
        const char *line;
        const char *why; /* a part of the message; NULL: it is fine */
} cases[] = {
        { "shoal", NULL },
        { "shoal --gate a:1 SELECT --keyspace k --timeout 5s --mode csv --headers", NULL },
        { "shoal keyspace create x --shards 16 --if-not-exists --json", NULL },
        { "shoal keyspace list", NULL },
        { "shoal keyspaces list", NULL }, /* SQL, for the gate to refuse */
        { "shoal --gat a:1 --nope", "--nope: no such option" },
        { "shoal -x", "-x: no such option" },
        { "shoal --json=1", "--json=1: no such option, or it takes no value" },
        { "shoal --gate", "--gate: a value is missing" },
        { "shoal --timeout 5x", "--timeout 5x" },
        { "shoal --timeout -5", "--timeout -5" },
        { "shoal --timeout s", "--timeout s" },
        { "shoal --timeout 99999999999999999999s", "--timeout" },
        { "shoal --mode tables", "--mode tables" },
        { "shoal keyspace create x --shards 0", "--shards 0" },
        { "shoal keyspace create x --shards -1", "--shards -1" },
        { "shoal keyspace create x --shards 4294967296", "--shards 4294967296" },
        { "shoal keyspace create x --shards 2x", "--shards 2x" },
        { "shoal keyspace", "what to do?" },
        { "shoal keyspace make", "no such command: make" },
        { "shoal tablet create", "no such command: create" },
        { "shoal keyspace create", "NAME is missing" },
        { "shoal keyspace create a b", "what is \"b\"?" },
        { "shoal keyspace list --shards 2", "does not take" },
        { "shoal keyspace list --mode csv", "does not take" },
        { "shoal table show t --force", "does not take" },
        { "shoal transaction show", "ID is missing" },
        { "shoal transaction show 1-2-3 --unresolved", "does not take" },
        { "shoal tablet list --unresolved", "does not take" },
};
/* clang-format on */

START_TEST(command_line)
{
        const struct admin_command *command;
        struct options o;
        struct err e = ERR_INIT;
        char copy[200];
        enum err_code rc = parse(cases[_i].line, copy, &o, &e);

        rc = rc ? rc : admin_find(&o, &command, &e);
        ck_assert_msg(rc == (cases[_i].why ? ERR_INVALID : ERR_OK), "%s: %s", cases[_i].line,
                      e.msg);
        if (cases[_i].why)
                ck_assert_msg(strstr(e.msg, cases[_i].why), "%s: %s", cases[_i].line, e.msg);
}
END_TEST

START_TEST(values)
{
        struct options o;
        struct err e = ERR_INIT;
        char copy[200];

        ck_assert_int_eq(
            parse("shoal one --gate g:1 two --topo t:2 --timeout 2m --no-headers -h", copy, &o, &e),
            ERR_OK);
        ck_assert_str_eq(o.gate, "g:1");
        ck_assert_str_eq(o.topo, "t:2");
        ck_assert_str_eq(o.keyspace, "main");
        ck_assert_uint_eq(o.timeout_ms, 120000);
        ck_assert_int_eq(o.headers, 0);
        ck_assert(o.help);
        ck_assert_uint_eq(o.n_words, 2);
        ck_assert_str_eq(o.words[0], "one");
        ck_assert_str_eq(o.words[1], "two");
        ck_assert_int_eq(parse("shoal --timeout 200ms", copy, &o, &e), ERR_OK);
        ck_assert_uint_eq(o.timeout_ms, 200);
        ck_assert_int_eq(parse("shoal keyspace create x --shards 4294967295", copy, &o, &e),
                         ERR_OK);
        ck_assert_uint_eq(o.shards, UINT32_MAX);
        ck_assert_uint_eq(o.given, OPTION_SHARDS);
}
END_TEST

/* ---- places */

static char directory[80];

static void write_file(const char *name, const char *text)
{
        cleanup_(freep) char *path = xasprintf("%s/%s", directory, name);
        FILE *f = fopen(path, "w");

        ck_assert_ptr_nonnull(f);
        fputs(text, f);
        fclose(f);
}

static void remove_file(const char *name)
{
        cleanup_(freep) char *path = xasprintf("%s/%s", directory, name);

        ck_assert_int_eq(remove(path), 0);
}

static void make_clusters(void)
{
        unit_temp_template(directory, sizeof directory, "shoal-places");
        ck_assert_ptr_nonnull(mkdtemp(directory));
        ck_assert_int_eq(chdir(directory), 0);
        ck_assert_int_eq(mkdir(".shoal", 0700), 0);
        write_file("cluster.json", "{\"gates\":[{\"address\":\"g:1\"},{\"address\":\"g:2\"}],"
                                   "\"topos\":[{\"address\":\"t:1\"}]}");
        write_file(".shoal/cluster.json", "{\"gates\":[{\"address\":\"here:1\"}],\"topos\":[]}");
}

static void remove_clusters(void)
{
        remove_file("cluster.json");
        remove_file(".shoal/cluster.json");
        remove_file(".shoal");
        ck_assert_int_eq(chdir("/"), 0);
        ck_assert_int_eq(rmdir(directory), 0);
}

/* clang-format off */
static const struct {
        const char *label;
        const char *gate, *topo, *cluster;         /* flags */
        const char *env_gate, *env_topo, *env_cluster;
        const char *want_gate, *want_topo;         /* NULL: none is found */
        enum err_code rc;
} place_cases[] = {
        { "nothing said", NULL, NULL, NULL, NULL, NULL, NULL, "here:1", NULL, ERR_OK },
        { "flags", "f:1", "f:2", NULL, "e:1", "e:2", NULL, "f:1", "f:2", ERR_OK },
        { "environment", NULL, NULL, NULL, "e:1", "e:2", ".", "e:1", "e:2", ERR_OK },
        { "one of each", "f:1", NULL, NULL, "e:1", "e:2", ".", "f:1", "e:2", ERR_OK },
        { "a flag alone", "f:1", NULL, NULL, NULL, NULL, ".", "f:1", NULL, ERR_OK },
        { "empty variables", NULL, NULL, NULL, "", "", ".", "g:1", "t:1", ERR_OK },
        { "cluster named", NULL, NULL, ".", "e:1", "e:2", NULL, "g:1", "t:1", ERR_OK },
        { "cluster and a flag", NULL, "f:2", ".", "e:1", NULL, NULL, "g:1", "f:2", ERR_OK },
        { "cluster in the environment", NULL, NULL, NULL, NULL, NULL, ".", "g:1", "t:1", ERR_OK },
        { "no such cluster", NULL, NULL, "nowhere", NULL, NULL, NULL, NULL, NULL, ERR_INVALID },
        { "no such cluster in the environment", NULL, NULL, NULL, NULL, NULL, "nowhere", NULL, NULL, ERR_INVALID },
};
/* clang-format on */

static void set_variable(const char *name, const char *value)
{
        ck_assert_int_eq(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

START_TEST(place_case)
{
        struct places p;
        struct err e = ERR_INIT;
        enum err_code rc;

        set_variable("SHOAL_GATE", place_cases[_i].env_gate);
        set_variable("SHOAL_TOPO", place_cases[_i].env_topo);
        set_variable("SHOAL_CLUSTER", place_cases[_i].env_cluster);
        rc = places_find(place_cases[_i].gate, place_cases[_i].topo, place_cases[_i].cluster, &p,
                         &e);
        ck_assert_msg(rc == place_cases[_i].rc, "%s: %s", place_cases[_i].label, e.msg);
        ck_assert_pstr_eq(p.gate, place_cases[_i].want_gate);
        ck_assert_pstr_eq(p.topo, place_cases[_i].want_topo);
        places_done(&p);
}
END_TEST

START_TEST(cluster_without_servers)
{
        struct places p;
        struct err e = ERR_INIT;

        write_file("cluster.json", "[1, 2]");
        ck_assert_int_eq(places_find(NULL, NULL, ".", &p, &e), ERR_INVALID);
        ck_assert_ptr_nonnull(strstr(e.msg, "neither a gate nor a topo"));
        places_done(&p);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("cli/options");
        TCase *t = tcase_create("options");
        TCase *places = tcase_create("places");

        tcase_add_loop_test(t, command_line, 0, ARRAY_LEN(cases));
        tcase_add_test(t, values);
        suite_add_tcase(s, t);
        tcase_add_checked_fixture(places, make_clusters, remove_clusters);
        tcase_add_loop_test(places, place_case, 0, ARRAY_LEN(place_cases));
        tcase_add_test(places, cluster_without_servers);
        suite_add_tcase(s, places);
        return unit_run(s);
}
