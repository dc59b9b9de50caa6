/* conf.c - settings from defaults, file, environment and flags. Runs once at start, on the main
 * thread. */
#include "common/conf.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/conf_int.h"

enum {
        MAX_FILE_BYTES = 1 << 20,
        MAX_ENV_BYTES = 128,
};

/* Owner: conf_load(). */
struct load {
        const struct conf_table *table;
        char *options;
        bool *seen; /* one a def */
        const char *config_path;
        const char *config_from; /* "--config" or "SHOAL_CONFIG" */
};

static const struct {
        const char *suffix;
        enum conf_type type;
        uint64_t factor;
} units[] = {
        { "ms", CONF_MS, 1 },
        { "s", CONF_MS, 1000 },
        { "m", CONF_MS, 60 * 1000 },
        { "h", CONF_MS, 60 * 60 * 1000 },
        { "B", CONF_BYTES, 1 },
        { "KiB", CONF_BYTES, UINT64_C(1) << 10 },
        { "MiB", CONF_BYTES, UINT64_C(1) << 20 },
        { "GiB", CONF_BYTES, UINT64_C(1) << 30 },
        { "TiB", CONF_BYTES, UINT64_C(1) << 40 },
};

static const char *expected(enum conf_type type)
{
        switch (type) {
        case CONF_MS:
                return "a time such as 200ms, 5s, 2m or 1h";
        case CONF_BYTES:
                return "a size such as 4096, 512KiB, 64MiB or 1GiB";
        case CONF_BOOL:
                return "true or false";
        default:
                return "a whole number";
        }
}

/* 0: no such unit. */
static uint64_t unit_factor(enum conf_type type, const char *suffix)
{
        if (*suffix == '\0')
                return 1;
        for (size_t i = 0; i < ARRAY_LEN(units); i++) {
                if (units[i].type == type && strcmp(units[i].suffix, suffix) == 0)
                        return units[i].factor;
        }
        return 0;
}

/* False: no number, no unit of the type, or more than 64 bits. */
static bool parse_number(enum conf_type type, const char *s, uint64_t *ret_n)
{
        uint64_t factor, n = 0;

        if (!isdigit((unsigned char)*s))
                return false;
        for (; isdigit((unsigned char)*s); s++) {
                if (__builtin_mul_overflow(n, UINT64_C(10), &n) ||
                    __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
                        return false;
        }
        factor = unit_factor(type, s);
        if (factor == 0 || __builtin_mul_overflow(n, factor, &n))
                return false;
        *ret_n = n;
        return true;
}

/* In the largest unit that leaves no remainder. */
void conf_format_number(enum conf_type type, uint64_t n, char *ret_text, size_t n_bytes)
{
        const char *suffix = "";
        uint64_t factor = 1;

        for (size_t i = 0; n && i < ARRAY_LEN(units); i++) {
                if (units[i].type == type && n % units[i].factor == 0) {
                        factor = units[i].factor;
                        suffix = units[i].suffix;
                }
        }
        snprintf(ret_text, n_bytes, "%" PRIu64 "%s", n / factor, suffix);
}

static enum err_code set_number(const struct conf_def *d, void *member, const char *text,
                                const char *where, struct err *reterr)
{
        uint64_t max = d->max ? d->max : UINT64_MAX, n;
        char low[32], high[32];

        if (!parse_number(d->type, text, &n))
                return err_set(reterr, ERR_INVALID, "BAD_CONFIG", "%s: \"%s\" is not %s", where,
                               text, expected(d->type));
        if (n < d->min || n > max) {
                conf_format_number(d->type, d->min, low, sizeof low);
                conf_format_number(d->type, max, high, sizeof high);
                return err_set(reterr, ERR_INVALID, "BAD_CONFIG", "%s: %s is not within %s and %s",
                               where, text, low, high);
        }
        *(uint64_t *)member = n;
        return ERR_OK;
}

static enum err_code set_bool(void *member, const char *text, const char *where, struct err *reterr)
{
        bool yes = strcmp(text, "true") == 0;

        if (!yes && strcmp(text, "false") != 0)
                return err_set(reterr, ERR_INVALID, "BAD_CONFIG", "%s: \"%s\" is not %s", where,
                               text, expected(CONF_BOOL));
        *(bool *)member = yes;
        return ERR_OK;
}

/* where: "--name", "SHOAL_NAME" or "FILE:12: name". */
static enum err_code set_option(struct load *l, size_t i, const char *text, const char *where,
                                struct err *reterr)
{
        const struct conf_def *d = &l->table->defs[i];
        void *member = l->options + d->offset;

        l->seen[i] = true;
        switch (d->type) {
        case CONF_STR:
                free(*(char **)member);
                *(char **)member = xstrdup(text);
                return ERR_OK;
        case CONF_BOOL:
                return set_bool(member, text, where, reterr);
        case CONF_UINT:
        case CONF_MS:
        case CONF_BYTES:
                return set_number(d, member, text, where, reterr);
        }
        return ERR_INTERNAL;
}

static size_t find_def(const struct conf_table *t, const char *name, size_t n_bytes)
{
        for (size_t i = 0; i < t->n_defs; i++) {
                if (strlen(t->defs[i].name) == n_bytes &&
                    memcmp(t->defs[i].name, name, n_bytes) == 0)
                        return i;
        }
        return SIZE_MAX;
}

void conf_env_name(const char *name, char *ret_env, size_t n_bytes)
{
        snprintf(ret_env, n_bytes, "SHOAL_%s", name);
        for (char *c = ret_env; *c; c++)
                *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

static enum err_code load_defaults(struct load *l, struct err *reterr)
{
        for (size_t i = 0; i < l->table->n_defs; i++) {
                const struct conf_def *d = &l->table->defs[i];
                enum err_code rc;

                if (!d->fallback)
                        continue;
                rc = set_option(l, i, d->fallback, d->name, reterr);
                if (rc)
                        return err_wrap(reterr, rc, "default");
        }
        return ERR_OK;
}

static enum err_code load_env(struct load *l, struct err *reterr)
{
        for (size_t i = 0; i < l->table->n_defs; i++) {
                char env[MAX_ENV_BYTES];
                const char *text;
                enum err_code rc;

                conf_env_name(l->table->defs[i].name, env, sizeof env);
                text = getenv(env);
                if (!text)
                        continue;
                rc = set_option(l, i, text, env, reterr);
                if (rc)
                        return rc;
        }
        return ERR_OK;
}

/* ---- the file */

static char *skip_blanks(char *s)
{
        while (*s == ' ' || *s == '\t')
                s++;
        return s;
}

static void cut_blanks(char *s)
{
        size_t n = strlen(s);

        while (n && strchr(" \t\r", s[n - 1]))
                n--;
        s[n] = '\0';
}

/* The value in s: quoted, or up to a comment. NULL: something follows the closing quote, or there
 * is none. */
static char *parse_file_value(char *s)
{
        char *end;

        if (*s == '"') {
                end = strchr(++s, '"');
                if (!end)
                        return NULL;
                *end = '\0';
                end = skip_blanks(end + 1);
                return *end == '\0' || *end == '\r' || *end == '#' ? s : NULL;
        }
        for (end = s; *end; end++) {
                if (*end == '#' && (end == s || end[-1] == ' ' || end[-1] == '\t')) {
                        *end = '\0';
                        break;
                }
        }
        cut_blanks(s);
        return s;
}

static enum err_code load_line(struct load *l, char *line, unsigned n_line, struct err *reterr)
{
        char *name = skip_blanks(line), *value = strchr(name, '=');
        char where[ERR_MSG_BYTES];
        size_t i;

        if (strchr("#\r", *name)) /* also at the end of the string */
                return ERR_OK;
        if (!value)
                return err_set(reterr, ERR_INVALID, "BAD_CONFIG", "%s:%u: no \"name = value\"",
                               l->config_path, n_line);
        *value = '\0';
        value = parse_file_value(skip_blanks(value + 1));
        cut_blanks(name);
        i = find_def(l->table, name, strlen(name));
        if (i == SIZE_MAX)
                return err_set(reterr, ERR_INVALID, "BAD_CONFIG", "%s:%u: %s has no setting \"%s\"",
                               l->config_path, n_line, l->table->program, name);
        if (!value)
                return err_set(reterr, ERR_INVALID, "BAD_CONFIG", "%s:%u: unbalanced quotes",
                               l->config_path, n_line);
        snprintf(where, sizeof where, "%s:%u: %s", l->config_path, n_line, name);
        return set_option(l, i, value, where, reterr);
}

static enum err_code read_file(const struct load *l, char **ret_text, struct err *reterr)
{
        cleanup_(freep) char *text = xmalloc(MAX_FILE_BYTES + 1);
        FILE *f = fopen(l->config_path, "re");
        bool failed;
        size_t n;

        if (!f)
                return err_set(reterr, ERR_INVALID, "BAD_CONFIG", "%s: %s: %s", l->config_from,
                               l->config_path, strerror(errno));
        n = fread(text, 1, MAX_FILE_BYTES + 1, f);
        failed = ferror(f);
        fclose(f);
        if (failed)
                return err_set(reterr, ERR_INVALID, "BAD_CONFIG", "%s: cannot read %s",
                               l->config_from, l->config_path);
        if (n > MAX_FILE_BYTES || memchr(text, '\0', n))
                return err_set(reterr, ERR_INVALID, "BAD_CONFIG", "%s: %s is no configuration file",
                               l->config_from, l->config_path);
        text[n] = '\0';
        *ret_text = TAKE(text);
        return ERR_OK;
}

static enum err_code load_file(struct load *l, struct err *reterr)
{
        cleanup_(freep) char *text = NULL;
        enum err_code rc;
        unsigned n_line = 0;
        char *rest, *line;

        if (!l->config_path)
                return ERR_OK;
        rc = read_file(l, &text, reterr);
        if (rc)
                return rc;
        rest = text;
        while ((line = strsep(&rest, "\n"))) {
                rc = load_line(l, line, ++n_line, reterr);
                if (rc)
                        return rc;
        }
        return ERR_OK;
}

/* ---- the flags */

struct flag {
        const char *name; /* behind the dashes, not NUL-terminated */
        size_t n_name;
        const char *value; /* NULL: none */
};

static bool flag_is(const struct flag *f, const char *name)
{
        return f->n_name == strlen(name) && memcmp(f->name, name, f->n_name) == 0;
}

/* Takes one flag, and the word behind it if that is its value, from argv[*i]; moves *i behind it.
 */
static enum err_code next_flag(const struct conf_table *t, int argc, char **argv, int *i,
                               struct flag *ret_flag, struct err *reterr)
{
        const char *arg = argv[(*i)++], *equals = strchr(arg, '=');
        struct flag f = { .name = arg + 2 };
        bool needs_value;
        size_t def;

        if (strncmp(arg, "--", 2) != 0)
                return err_set(reterr, ERR_INVALID, "BAD_CONFIG", "\"%s\" is no flag (see --help)",
                               arg);
        f.n_name = equals ? (size_t)(equals - f.name) : strlen(f.name);
        f.value = equals ? equals + 1 : NULL;
        def = find_def(t, f.name, f.n_name);
        if (def == SIZE_MAX && !flag_is(&f, "config") && !flag_is(&f, "help") &&
            !flag_is(&f, "version"))
                return err_set(reterr, ERR_INVALID, "BAD_CONFIG",
                               "unknown flag --%.*s (see --help)", (int)f.n_name, f.name);
        needs_value = def == SIZE_MAX ? flag_is(&f, "config") : t->defs[def].type != CONF_BOOL;
        if (needs_value && !f.value) {
                if (*i == argc)
                        return err_set(reterr, ERR_INVALID, "BAD_CONFIG", "--%.*s needs a value",
                                       (int)f.n_name, f.name);
                f.value = argv[(*i)++];
        }
        *ret_flag = f;
        return ERR_OK;
}

static void print_and_free(char *text)
{
        fputs(text, stdout);
        fflush(stdout);
        free(text);
}

/* Looks for what must be known before anything is loaded: --config, --help and --version. */
static enum err_code scan_flags(struct load *l, int argc, char **argv, bool *ret_exit,
                                struct err *reterr)
{
        for (int i = 1; i < argc;) {
                struct flag f;
                enum err_code rc = next_flag(l->table, argc, argv, &i, &f, reterr);

                if (rc)
                        return rc;
                if (flag_is(&f, "config")) {
                        l->config_path = f.value;
                        l->config_from = "--config";
                } else if (flag_is(&f, "help")) {
                        bool markdown = f.value && strcmp(f.value, "markdown") == 0;

                        print_and_free(markdown ? conf_markdown(l->table) : conf_help(l->table));
                        *ret_exit = true;
                        return ERR_OK;
                } else if (flag_is(&f, "version")) {
                        printf("%s %s\n", l->table->program, SHOAL_VERSION);
                        fflush(stdout);
                        *ret_exit = true;
                        return ERR_OK;
                }
        }
        return ERR_OK;
}

static enum err_code load_flags(struct load *l, int argc, char **argv, struct err *reterr)
{
        for (int i = 1; i < argc;) {
                char where[ERR_MSG_BYTES];
                struct flag f;
                enum err_code rc = next_flag(l->table, argc, argv, &i, &f, reterr);
                size_t def;

                if (rc)
                        return rc;
                def = find_def(l->table, f.name, f.n_name);
                if (def == SIZE_MAX)
                        continue; /* --config */
                snprintf(where, sizeof where, "--%s", l->table->defs[def].name);
                rc = set_option(l, def, f.value ? f.value : "true", where, reterr);
                if (rc)
                        return rc;
        }
        return ERR_OK;
}

static enum err_code check_all_given(const struct load *l, struct err *reterr)
{
        for (size_t i = 0; i < l->table->n_defs; i++) {
                char env[MAX_ENV_BYTES];

                if (l->seen[i])
                        continue;
                conf_env_name(l->table->defs[i].name, env, sizeof env);
                return err_set(reterr, ERR_INVALID, "BAD_CONFIG", "--%s (or %s) must be given",
                               l->table->defs[i].name, env);
        }
        return ERR_OK;
}

static enum err_code load_all(struct load *l, int argc, char **argv, struct err *reterr)
{
        enum err_code rc;

        rc = load_defaults(l, reterr);
        if (!rc)
                rc = load_file(l, reterr);
        if (!rc)
                rc = load_env(l, reterr);
        if (!rc)
                rc = load_flags(l, argc, argv, reterr);
        if (!rc)
                rc = check_all_given(l, reterr);
        return rc;
}

enum err_code conf_load(const struct conf_table *table, int argc, char **argv, void *options,
                        bool *ret_exit, struct err *reterr)
{
        cleanup_(freep) bool *seen = xcalloc(table->n_defs, sizeof *seen);
        const char *env_path = getenv("SHOAL_CONFIG");
        struct load l = {
                .table = table,
                .options = options,
                .seen = seen,
                .config_path = env_path && *env_path ? env_path : NULL,
                .config_from = "SHOAL_CONFIG",
        };
        enum err_code rc;

        *ret_exit = false;
        for (size_t i = 0; i < table->n_defs; i++) {
                if (table->defs[i].type == CONF_STR)
                        *(char **)(void *)(l.options + table->defs[i].offset) = NULL;
        }
        rc = scan_flags(&l, argc, argv, ret_exit, reterr);
        if (rc || *ret_exit)
                return rc;
        rc = load_all(&l, argc, argv, reterr);
        if (rc)
                conf_done(table, options);
        return rc;
}

void conf_done(const struct conf_table *table, void *options)
{
        for (size_t i = 0; i < table->n_defs; i++) {
                char **member = (char **)(void *)((char *)options + table->defs[i].offset);

                if (table->defs[i].type != CONF_STR)
                        continue;
                free(*member);
                *member = NULL;
        }
}
