/* splitter.h - lines of a script in, statements out. Owner: one at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

enum { SPLITTER_MAX_BYTES = 64 << 20 };

/* What the end of the pending text is inside of. */
enum splitter_state {
        SPLITTER_PLAIN = 0,
        SPLITTER_QUOTE, /* up to `closing` */
        SPLITTER_LINE,  /* a comment up to the end of the line */
        SPLITTER_BLOCK, /* a comment up to its star and slash */
};

struct splitter {
        struct buf pending;
        size_t n_taken; /* bytes of pending that have been handed out */
        long line;      /* where the first byte that is not handed out stands, from 1 */
        enum splitter_state state;
        char closing;
        char previous; /* the byte before those to come */
        bool has_end; /* a semicolon has come since the last look, outside of quotes and comments */
        bool is_blank; /* what is not handed out is nothing but blanks and comments */
};

void splitter_init(struct splitter *s);
void splitter_done(struct splitter *s);

/* A line with its line end. ERR_EXHAUSTED: the statement is longer than SPLITTER_MAX_BYTES; it has
 * been forgotten. */
enum err_code splitter_add(struct splitter *s, const char *line, size_t n_bytes,
                           struct err *reterr) must_check_;
/* The next complete statement, borrowed until the next splitter_add; false if there is none yet.
 * *ret_line: where it begins. */
bool splitter_next(struct splitter *s, const char **ret_sql, size_t *ret_n_bytes, long *ret_line);
/* At the end of the input: what is left, complete or not; false if it is nothing. */
bool splitter_rest(struct splitter *s, const char **ret_sql, size_t *ret_n_bytes, long *ret_line);
/* True if no statement has been begun. */
bool splitter_is_idle(const struct splitter *s);
/* While idle: a line that is none of the splitter's. Returns its number. */
long splitter_skip_line(struct splitter *s);
/* Forgets what is pending. */
void splitter_reset(struct splitter *s);
