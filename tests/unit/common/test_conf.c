/* test_conf.c - where settings come from, which wins, and what is refused. Each test is a process
 * of its own, so that it may change the environment. */
#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "tests/unit/unit.h"

struct options {
        char *data_dir;
        char *name;
        bool verbose;
        uint64_t threads;
        uint64_t timeout_ms;
        uint64_t cache_bytes;
};

static const struct conf_def defs[] = {
        { "data-dir", CONF_STR, offsetof(struct options, data_dir), NULL, 0, 0, "DIR",
          "Folder of the files." },
        { "name", CONF_STR, offsetof(struct options, name), "", 0, 0, NULL,
          "Name of the process." },
        { "verbose", CONF_BOOL, offsetof(struct options, verbose), "false", 0, 0, NULL,
          "Say more." },
        { "threads", CONF_UINT, offsetof(struct options, threads), "4", 1, 64, NULL,
          "Worker threads, a number." },
        { "rpc-timeout", CONF_MS, offsetof(struct options, timeout_ms), "2s", 10, 3600000, NULL,
          "Longest time one call may take, to be quite sure that this line is one that has to be "
          "wrapped | once." },
        { "cache-size", CONF_BYTES, offsetof(struct options, cache_bytes), "64MiB", 4096, 0, NULL,
          "Memory for pages." },
};

static const struct conf_table table = { "tablet", "Holds shards.", defs, ARRAY_LEN(defs) };

static char file_name[80];

static void remove_file(void)
{
        unlink(file_name);
}

/* Writes the text into a file whose name is file_name, until the test ends. */
static void write_file(const char *text)
{
        int fd;

        unit_temp_template(file_name, sizeof(file_name), "shoal-conf");
        fd = mkstemp(file_name);
        ck_assert_int_ge(fd, 0);
        atexit(remove_file);
        ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
}

/* Loads with the flags, up to a NULL, behind --data-dir=/d. */
static enum err_code load(const char *const flags[], struct options *o, struct err *e)
{
        char program[] = "tablet", dir[] = "--data-dir=/d", *argv[20] = { program, dir };
        bool exits = true;
        enum err_code rc;
        int argc = 2;

        while (flags && *flags)
                argv[argc++] = xstrdup(*flags++);
        rc = conf_load(&table, argc, argv, o, &exits, e);
        ck_assert(!exits);
        while (argc > 2)
                free(argv[--argc]);
        return rc;
}

#define FLAGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

START_TEST(defaults)
{
        struct options o;
        struct err e = ERR_INIT;

        ck_assert_msg(load(NULL, &o, &e) == ERR_OK, "%s", e.msg);
        ck_assert_str_eq(o.data_dir, "/d");
        ck_assert_str_eq(o.name, "");
        ck_assert(!o.verbose);
        ck_assert_uint_eq(o.threads, 4);
        ck_assert_uint_eq(o.timeout_ms, 2000);
        ck_assert_uint_eq(o.cache_bytes, UINT64_C(64) << 20);
        conf_done(&table, &o);
        ck_assert_ptr_null(o.data_dir);
        conf_done(&table, &o);
}
END_TEST

/* Each source sets one more than the next stronger one overrides. */
START_TEST(precedence)
{
        struct options o;
        struct err e = ERR_INIT;

        write_file("name = file\nthreads = 5\nrpc-timeout = 50ms\ncache-size = 1MiB\n");
        setenv("SHOAL_THREADS", "6", 1);
        setenv("SHOAL_RPC_TIMEOUT", "60", 1);
        setenv("SHOAL_CONFIG", "/nonexistent", 1); /* --config wins */
        ck_assert_msg(load(FLAGS("--config", file_name, "--rpc-timeout=70", "--verbose"), &o, &e) ==
                          ERR_OK,
                      "%s", e.msg);
        ck_assert_str_eq(o.name, "file");
        ck_assert_uint_eq(o.cache_bytes, 1 << 20);
        ck_assert_uint_eq(o.threads, 6);
        ck_assert_uint_eq(o.timeout_ms, 70);
        ck_assert(o.verbose);
        conf_done(&table, &o);

        setenv("SHOAL_CONFIG", file_name, 1);
        setenv("SHOAL_DATA_DIR", "/env", 1);
        ck_assert_msg(load(FLAGS("--data-dir", "/flag", "--verbose=false"), &o, &e) == ERR_OK, "%s",
                      e.msg);
        ck_assert_str_eq(o.name, "file");
        ck_assert_str_eq(o.data_dir, "/flag");
        ck_assert(!o.verbose);
        conf_done(&table, &o);
}
END_TEST

START_TEST(later_flag_wins)
{
        struct options o;

        ck_assert_int_eq(
            load(FLAGS("--name=a", "--name=b", "--threads=2", "--threads", "3"), &o, NULL), ERR_OK);
        ck_assert_str_eq(o.name, "b");
        ck_assert_uint_eq(o.threads, 3);
        conf_done(&table, &o);
}
END_TEST

static const struct {
        const char *flag;
        uint64_t threads, timeout_ms, cache_bytes; /* 0: as by default */
} good[] = {
        { "--threads=1", 1, 0, 0 },
        { "--threads=64", 64, 0, 0 },
        { "--rpc-timeout=10", 0, 10, 0 },
        { "--rpc-timeout=10ms", 0, 10, 0 },
        { "--rpc-timeout=2m", 0, 120000, 0 },
        { "--rpc-timeout=1h", 0, 3600000, 0 },
        { "--cache-size=4096", 0, 0, 4096 },
        { "--cache-size=4096B", 0, 0, 4096 },
        { "--cache-size=512KiB", 0, 0, 512 << 10 },
        { "--cache-size=3GiB", 0, 0, UINT64_C(3) << 30 },
        { "--cache-size=2TiB", 0, 0, UINT64_C(2) << 40 },
        { "--cache-size=18446744073709551615", 0, 0, UINT64_MAX },
};

START_TEST(good_case)
{
        struct options o;
        struct err e = ERR_INIT;

        ck_assert_msg(load(FLAGS(good[_i].flag), &o, &e) == ERR_OK, "%s: %s", good[_i].flag, e.msg);
        ck_assert_uint_eq(o.threads, good[_i].threads ? good[_i].threads : 4);
        ck_assert_uint_eq(o.timeout_ms, good[_i].timeout_ms ? good[_i].timeout_ms : 2000);
        ck_assert_uint_eq(o.cache_bytes,
                          good[_i].cache_bytes ? good[_i].cache_bytes : UINT64_C(64) << 20);
        conf_done(&table, &o);
}
END_TEST

static const struct {
        const char *flag, *msg;
} bad[] = {
        { "--threads=0", "--threads: 0 is not within 1 and 64" },
        { "--threads=65", "--threads: 65 is not within 1 and 64" },
        { "--threads=", "--threads: \"\" is not a whole number" },
        { "--threads=-1", "--threads: \"-1\" is not a whole number" },
        { "--threads=+1", "--threads: \"+1\" is not a whole number" },
        { "--threads=1.5", "--threads: \"1.5\" is not a whole number" },
        { "--threads=4s", "--threads: \"4s\" is not a whole number" },
        { "--threads=18446744073709551616",
          "--threads: \"18446744073709551616\" is not a whole number" },
        { "--rpc-timeout=9", "--rpc-timeout: 9 is not within 10ms and 1h" },
        { "--rpc-timeout=1d", "--rpc-timeout: \"1d\" is not a time such as 200ms, 5s, 2m or 1h" },
        { "--rpc-timeout=1 s", "--rpc-timeout: \"1 s\" is not a time such as 200ms, 5s, 2m or 1h" },
        { "--cache-size=1kb",
          "--cache-size: \"1kb\" is not a size such as 4096, 512KiB, 64MiB or 1GiB" },
        { "--cache-size=18446744073709551615KiB",
          "--cache-size: \"18446744073709551615KiB\" is not a size such as 4096, 512KiB, 64MiB or "
          "1GiB" },
        { "--cache-size=4095", "--cache-size: 4095 is not within 4KiB and 18446744073709551615B" },
        { "--verbose=yes", "--verbose: \"yes\" is not true or false" },
        { "--bogus", "unknown flag --bogus (see --help)" },
        { "--thread=3", "unknown flag --thread (see --help)" },
        { "-v", "\"-v\" is no flag (see --help)" },
        { "file", "\"file\" is no flag (see --help)" },
        { "--", "unknown flag -- (see --help)" },
        { "--name", "--name needs a value" },
        { "--config", "--config needs a value" },
        { "--config=/nonexistent/x", "--config: /nonexistent/x: No such file or directory" },
        { "--config=/", "--config: cannot read /" },
};

START_TEST(bad_case)
{
        struct options o = { .threads = 99 };
        struct err e = ERR_INIT;

        ck_assert_msg(load(FLAGS(bad[_i].flag), &o, &e) == ERR_INVALID, "%s", bad[_i].flag);
        ck_assert_str_eq(e.msg, bad[_i].msg);
        ck_assert_str_eq(e.reason, "BAD_CONFIG");
        ck_assert_ptr_null(o.data_dir);
}
END_TEST

START_TEST(must_be_given)
{
        char program[] = "tablet", *argv[] = { program, NULL };
        struct options o;
        struct err e = ERR_INIT;
        bool exits;

        ck_assert_int_eq(conf_load(&table, 1, argv, &o, &exits, &e), ERR_INVALID);
        ck_assert_str_eq(e.msg, "--data-dir (or SHOAL_DATA_DIR) must be given");
        setenv("SHOAL_DATA_DIR", "/env", 1);
        ck_assert_int_eq(conf_load(&table, 1, argv, &o, &exits, &e), ERR_OK);
        ck_assert_str_eq(o.data_dir, "/env");
        conf_done(&table, &o);
}
END_TEST

START_TEST(bad_environment)
{
        struct options o;
        struct err e = ERR_INIT;

        setenv("SHOAL_THREADS", "many", 1);
        ck_assert_int_eq(load(NULL, &o, &e), ERR_INVALID);
        ck_assert_str_eq(e.msg, "SHOAL_THREADS: \"many\" is not a whole number");
}
END_TEST

static const struct {
        const char *label, *text, *name,
            *msg; /* msg: behind the file's name; NULL: name is what comes out */
} files[] = {
        { "empty", "", "", NULL },
        { "comments", "# one\n\n  # two\n \t\nname=x\n", "x", NULL },
        { "blanks", "  name \t= \t a b  \n", "a b", NULL },
        { "no newline at the end", "name = x", "x", NULL },
        { "windows", "name = x\r\n\r\nthreads = 5\r\n", "x", NULL },
        { "trailing comment", "name = x # not y\n", "x", NULL },
        { "no comment", "name = x#y\n", "x#y", NULL },
        { "quoted", "name = \" x # y \" # z\n", " x # y ", NULL },
        { "empty value", "name =\n", "", NULL },
        { "equals in value", "name = a=b\n", "a=b", NULL },
        { "later line", "name = a\nname = b\n", "b", NULL },
        { "unknown", "\nnames = x\n", NULL, ":2: tablet has no setting \"names\"" },
        { "no value", "name\n", NULL, ":1: no \"name = value\"" },
        { "bad value", "threads = x\n", NULL, ":1: threads: \"x\" is not a whole number" },
        { "out of range", "# \nthreads = 65\n", NULL, ":2: threads: 65 is not within 1 and 64" },
        { "open quote", "name = \"x\n", NULL, ":1: unbalanced quotes" },
        { "behind the quote", "name = \"x\" y\n", NULL, ":1: unbalanced quotes" },
        { "config in config", "config = /x\n", NULL, ":1: tablet has no setting \"config\"" },
};

START_TEST(file_case)
{
        char flag[100], want[200];
        struct options o;
        struct err e = ERR_INIT;
        enum err_code rc;

        write_file(files[_i].text);
        snprintf(flag, sizeof flag, "--config=%s", file_name);
        rc = load(FLAGS(flag), &o, &e);
        if (files[_i].msg) {
                snprintf(want, sizeof want, "%s%s", file_name, files[_i].msg);
                ck_assert_msg(rc == ERR_INVALID, "%s", files[_i].label);
                ck_assert_str_eq(e.msg, want);
                return;
        }
        ck_assert_msg(rc == ERR_OK, "%s: %s", files[_i].label, e.msg);
        ck_assert_str_eq(o.name, files[_i].name);
        conf_done(&table, &o);
}
END_TEST

/* A mebibyte of comment is read, a byte more is not. */
START_TEST(file_is_limited)
{
        cleanup_(freep) char *text = malloc((1 << 20) + 2);
        struct options o;
        struct err e = ERR_INIT;
        int fd;

        memset(text, '#', (1 << 20) + 1);
        text[1 << 20] = '\0';
        write_file(text);
        ck_assert_int_eq(load(FLAGS("--config", file_name), &o, &e), ERR_OK);
        conf_done(&table, &o);
        fd = open(file_name, O_WRONLY | O_APPEND);
        ck_assert_int_eq(write(fd, "#", 1), 1);
        close(fd);
        ck_assert_int_eq(load(FLAGS("--config", file_name), &o, &e), ERR_INVALID);
        ck_assert_ptr_nonnull(strstr(e.msg, "is no configuration file"));
}
END_TEST

/* What a program prints to stdout for one flag; it must want to exit. */
static const char *printed(char *flag)
{
        static char text[8192];
        char program[] = "tablet", *argv[] = { program, flag, NULL };
        struct options o;
        bool exits = false;
        FILE *f = tmpfile();
        int saved = dup(STDOUT_FILENO);
        size_t n;

        fflush(stdout);
        dup2(fileno(f), STDOUT_FILENO);
        ck_assert_int_eq(conf_load(&table, 2, argv, &o, &exits, NULL), ERR_OK);
        dup2(saved, STDOUT_FILENO);
        ck_assert(exits);
        rewind(f);
        n = fread(text, 1, sizeof text - 1, f);
        text[n] = '\0';
        fclose(f);
        return text;
}

START_TEST(help)
{
        char flag[] = "--help";
        static const char begin[] = "Usage: tablet [--NAME=VALUE]...\n\nHolds shards.\n";
        const char *s = printed(flag);

        ck_assert_msg(strncmp(s, begin, strlen(begin)) == 0, "%s", s);
        ck_assert_msg(
            strstr(
                s,
                "  --data-dir=DIR\n      Folder of the files. Must be given. [SHOAL_DATA_DIR]\n"),
            "%s", s);
        ck_assert_msg(
            strstr(s,
                   "  --verbose[=true|false]\n      Say more. Default: false. [SHOAL_VERBOSE]\n"),
            "%s", s);
        ck_assert_msg(strstr(s, "  --threads=N\n      Worker threads, a number. Default: 4. Range: "
                                "1 to 64. [SHOAL_THREADS]\n"),
                      "%s", s);
        ck_assert_msg(strstr(s, "Default: 64MiB. Range: at least 4KiB. [SHOAL_CACHE_SIZE]\n"), "%s",
                      s);
        for (const char *line = s; *line; line += strcspn(line, "\n") + 1)
                ck_assert_msg(strcspn(line, "\n") <= 100, "%.*s", (int)strcspn(line, "\n"), line);
}
END_TEST

START_TEST(help_as_markdown)
{
        char flag[] = "--help=markdown";
        const char *s = printed(flag);

        ck_assert_msg(strstr(s, "| `--threads=N` | `SHOAL_THREADS` | `4` | 1 to 64 | Worker "
                                "threads, a number. |\n"),
                      "%s", s);
        ck_assert_msg(strstr(s, "| `--data-dir=DIR` | `SHOAL_DATA_DIR` | (must be given) |  | "
                                "Folder of the files. |\n"),
                      "%s", s);
        ck_assert_msg(strstr(s, "wrapped \\| once. |\n"), "%s", s);
}
END_TEST

START_TEST(version)
{
        char flag[] = "--version";

        ck_assert_str_eq(printed(flag), "tablet " SHOAL_VERSION "\n");
}
END_TEST

static Suite *conf_suite(void)
{
        Suite *s = suite_create("conf");
        TCase *t = tcase_create("conf");

        tcase_add_test(t, defaults);
        tcase_add_test(t, precedence);
        tcase_add_test(t, later_flag_wins);
        tcase_add_loop_test(t, good_case, 0, ARRAY_LEN(good));
        tcase_add_loop_test(t, bad_case, 0, ARRAY_LEN(bad));
        tcase_add_test(t, must_be_given);
        tcase_add_test(t, bad_environment);
        tcase_add_loop_test(t, file_case, 0, ARRAY_LEN(files));
        tcase_add_test(t, file_is_limited);
        tcase_add_test(t, help);
        tcase_add_test(t, help_as_markdown);
        tcase_add_test(t, version);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(conf_suite());
}
