/* conf.h - one table per binary from which come the flags (--long-names), the config file, the
 * environment (SHOAL_LONG_NAME), --help and docs/configuration.md. Read once at start, before any
 * thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum conf_type {
        CONF_STR = 0,   /* char *, owned by the struct */
        CONF_BOOL = 1,  /* bool: --name, --name=true|false */
        CONF_UINT = 2,  /* uint64_t */
        CONF_MS = 3,    /* uint64_t, milliseconds; "200ms", "5s", "2m", or a bare number of ms */
        CONF_BYTES = 4, /* uint64_t; "64MiB", "1GiB", "512KiB", or a bare number */
};

struct conf_def {
        const char *name; /* "listen-address" */
        enum conf_type type;
        size_t offset;        /* of the member in the binary's options struct */
        const char *fallback; /* default, as it would be typed; NULL: must be given */
        uint64_t min, max;    /* of numbers; max 0: none */
        const char *metavar;  /* "HOST:PORT" */
        const char *help;     /* one sentence, with units */
};

struct conf_table {
        const char *program; /* "tablet" */
        const char *summary; /* what the binary is, for --help */
        const struct conf_def *defs;
        size_t n_defs;
};

/* Fills *options (a struct the defs' offsets refer to) from, in rising order of precedence:
 * defaults, the file named by --config or SHOAL_CONFIG ("name = value" lines, # comments, values
 * with a # in double quotes), the environment, the flags (--name=value or --name value).
 * ERR_INVALID (reason BAD_CONFIG) names the setting and where it came from; *options then owns
 * nothing. --help,
 * --help=markdown and --version print to stdout and set *ret_exit; *options is then not filled. */
enum err_code conf_load(const struct conf_table *table, int argc, char **argv, void *options,
                        bool *ret_exit, struct err *reterr) must_check_;
/* Frees the strings in *options. */
void conf_done(const struct conf_table *table, void *options);
/* --help as text, and the same as a Markdown table; malloc'ed. */
char *conf_help(const struct conf_table *table) must_check_;
char *conf_markdown(const struct conf_table *table) must_check_;
