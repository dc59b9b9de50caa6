/* lexer_int.h - the text of a statement cut into SQLite's tokens. Pure; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sql_token {
        uint32_t offset;
        uint32_t n_bytes; /* 0: the end of the text */
};

/* The code (TK_… of grammar.h) of the token that begins at or behind text + *offset, blanks and
 * comments skipped; ret_token says where it is. 0 at the end; TK_ILLEGAL if it is none. text ends
 * in a NUL, offset is no larger than its length. Words that are keywords only in some places come
 * as those places' keywords. */
int sql_lex(const char *text, uint32_t offset, struct sql_token *ret_token);

/* Like sql_lex(), but WINDOW, OVER, FILTER and EXPLAIN's ANALYZE come as the parser needs them:
 * names where they are not keywords. before: the code of the token before, 0 if none. */
int sql_lex_context(const char *text, uint32_t offset, int before, struct sql_token *ret_token);

/* Whether the keyword may stand for a name where it has no meaning of its own. */
int sql_grammar_fallback(int code);
