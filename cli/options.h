/* options.h - the command line of shoal. Read once, at start. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/printer.h"
#include "common/err.h"

/* Which of the admin commands' own options were given. */
enum {
        OPTION_JSON = 1 << 0,
        OPTION_SHARDS = 1 << 1,
        OPTION_IF_NOT_EXISTS = 1 << 2,
        OPTION_FORCE = 1 << 3,
        OPTION_UNRESOLVED = 1 << 4,
        OPTION_SHELL = 1 << 5, /* any of those that only the shell knows */
};

/* Strings are borrowed from argv. */
struct options {
        const char *gate, *topo, *cluster; /* NULL: not given */
        const char *keyspace;              /* "main" unless given */
        uint64_t timeout_ms;               /* 0: none */
        bool help, version;
        unsigned given; /* OPTION_… */
        /* shell */
        bool has_mode;
        enum print_mode mode;
        int headers; /* -1: as usual */
        bool bail, stats, timer;
        /* admin commands */
        uint32_t shards;
        /* what is no option */
        char **words;
        size_t n_words;
};

/* Options may stand anywhere; argv is put in order. ERR_INVALID says what is wrong with which. */
enum err_code options_parse(int argc, char **argv, struct options *ret_options,
                            struct err *reterr) must_check_;
