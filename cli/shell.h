/* shell.h - the SQL shell: its settings, and how statements and dot commands are run. Owner: the
 * main thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/places.h"
#include "cli/printer.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "common/err.h"
#include "rpc/loop.h"

struct shell {
        struct loop *loop;
        const struct places *places;
        uint64_t timeout_ms;
        struct remote *gate, *topo; /* NULL until first needed */
        char *keyspace;
        char *session; /* "" outside a transaction */
        bool in_transaction;
        struct print_settings print;
        char *null_text; /* what print.null_text points to if it was set by hand */
        bool null_was_set, headers_were_set;
        bool timer, stats, bail;
        bool interactive; /* a person types */
        bool quit;
        bool told_row_by_row; /* the note of cli/split_insert.h has been given */
        unsigned read_depth;  /* .read inside .read */
        FILE *out;            /* results; standard output unless .output */
        int exit_code;        /* of what failed; what ends a script outweighs a statement */
};

/* Where a statement comes from. */
struct origin {
        const char *file; /* NULL: standard input, a person, an argument */
        bool is_script;   /* lines have numbers that help, and INSERTs may be sent row by row */
        struct progress *progress; /* NULL: none */
};

void shell_init(struct shell *sh, struct loop *l, const struct places *places);
void shell_done(struct shell *sh);

/* The connections, made when first asked for; borrowed. ERR_INVALID: no address is known. */
enum err_code shell_gate(struct shell *sh, struct remote **ret_gate,
                         struct err *reterr) must_check_;
enum err_code shell_topo(struct shell *sh, struct remote **ret_topo,
                         struct err *reterr) must_check_;

/* Changes the mode; headers and the text for NULL follow unless they were set by hand. */
void shell_set_mode(struct shell *sh, enum print_mode mode);
void shell_set_null_text(struct shell *sh, const char *text);

/* Runs one statement and prints its result or its error; the result tells whether to go on with a
 * script. */
enum err_code shell_statement(struct shell *sh, const struct origin *from, const char *sql,
                              size_t n_bytes, long line);
/* Runs a statement whose result the shell itself needs: nothing is printed but what *ev does. */
struct query_events;
enum err_code shell_ask(struct shell *sh, const char *sql, const struct query_events *ev, void *arg,
                        struct err *reterr) must_check_;

/* A line that begins with a dot. */
enum err_code shell_dot(struct shell *sh, const struct origin *from, const char *text, long line);
void shell_dot_help(FILE *out);

/* Prints an error of the shell's own and remembers it for the exit code. Returns its code. */
enum err_code shell_fail(struct shell *sh, const struct origin *from, long line,
                         const struct err *e);

/* Runs all of a text or a file: statements and dot commands. Stops at .quit, at the first error if
 * .bail is on, and when the gate cannot be reached. */
enum err_code shell_run_file(struct shell *sh, FILE *in, const struct origin *from);
enum err_code shell_run_text(struct shell *sh, const char *text);

/* Reads from a person, with line editing and history, until .quit or end of file. */
void shell_interact(struct shell *sh);
