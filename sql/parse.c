/* parse.c - sql_parse(): the arena's copy of the text, the grammar's run, the error. Runs on the
 * caller's thread. */
#include "sql/parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sql/parser_int.h"

static void fail(struct sql_parser *p, enum err_code code, const char *reason, uint32_t offset,
                 const char *fmt, va_list ap)
{
        char msg[ERR_MSG_BYTES];

        vsnprintf(msg, sizeof msg, fmt, ap);
        p->err = (struct err)ERR_INIT;
        err_set(&p->err, code, reason, "%s", msg);
        memcpy(p->err.sqlite_msg, msg, sizeof msg);
        p->err.extended_code = 1; /* SQLITE_ERROR */
        p->err.offset = (int)offset;
        p->failed = true;
        p->is_incomplete = false;
}

void sql_fail(struct sql_parser *p, uint32_t offset, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        fail(p, ERR_INVALID, "SYNTAX_ERROR", offset, fmt, ap);
        va_end(ap);
}

static void fail_with(struct sql_parser *p, enum err_code code, const char *reason, const char *fmt,
                      ...)
{
        va_list ap;

        va_start(ap, fmt);
        fail(p, code, reason, p->current.offset, fmt, ap);
        va_end(ap);
}

void sql_fail_complex(struct sql_parser *p, const char *sqlite_msg)
{
        fail_with(p, ERR_EXHAUSTED, "STATEMENT_TOO_COMPLEX", "%s", sqlite_msg);
}

void sql_fail_syntax(struct sql_parser *p, struct sql_token at)
{
        if (at.n_bytes) {
                sql_fail(p, at.offset, "near \"%.*s\": syntax error", (int)at.n_bytes,
                         p->text + at.offset);
                return;
        }
        sql_fail(p, at.offset, "incomplete input");
        p->is_incomplete = true;
}

/* Parses the first n_bytes of sql. */
static enum err_code parse_some(struct sql_parser *p, const char *sql, size_t n_bytes)
{
        struct arena *a = p->arena;

        p->text = arena_strndup(a, sql, n_bytes);
        p->n_bytes = (uint32_t)n_bytes;
        p->stmt = sql_new(a, SQL_STMT);
        if (p->text && p->stmt) {
                p->stmt->text = p->text;
                p->stmt->n_bytes = p->n_bytes;
                p->stmt->type = SQL_EMPTY;
                sql_grammar_run(p);
        }
        if (arena_is_exhausted(a))
                return err_set(&p->err, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                               "the statement needs more memory than one may have");
        return p->failed ? p->err.code : ERR_OK;
}

/* How much of a script to look at, so that going through one statement by statement does not copy
 * all of it each time. */
static size_t first_part(const char *sql, size_t n_bytes)
{
        const char *semicolon = memchr(sql, ';', n_bytes);
        size_t n = 0;
        bool is_blank = true;

        if (!semicolon || semicolon + 1 == sql + n_bytes)
                return n_bytes;
        while (is_blank && n < n_bytes) {
                size_t n_more = sql_split(sql + n, n_bytes - n, &is_blank);

                if (!n_more)
                        return n_bytes;
                n += n_more;
        }
        return n;
}

enum err_code sql_parse(struct arena *a, const char *sql, size_t n_bytes,
                        struct sql_stmt **ret_stmt, size_t *ret_tail, struct err *reterr)
{
        const char *nul = memchr(sql, '\0', n_bytes);
        size_t n_text = nul ? (size_t)(nul - sql) : n_bytes;
        size_t n_part;
        struct sql_parser p;
        enum err_code rc;

        if (n_text > SQL_MAX_STMT_BYTES)
                return err_set(reterr, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                               "the statement is longer than %d bytes", SQL_MAX_STMT_BYTES);
        n_part = first_part(sql, n_text);
        for (;;) {
                memset(&p, 0, offsetof(struct sql_parser, spare));
                p.arena = a;
                rc = parse_some(&p, sql, n_part);
                if (!p.is_incomplete || n_part == n_text)
                        break;
                /* A semicolon that does not end it: those between the parentheses of a virtual
                 * table. */
                n_part = n_text;
        }
        if (rc) {
                if (reterr)
                        *reterr = p.err;
                return rc;
        }
        if (ret_tail) {
                size_t end = p.current.offset + p.current.n_bytes;

                *ret_tail = p.stmt->type == SQL_EMPTY || end == n_text ? n_bytes : end;
        }
        *ret_stmt = p.stmt;
        return ERR_OK;
}
