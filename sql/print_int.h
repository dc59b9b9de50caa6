/* print_int.h - what the printer's files share. */
#pragma once

#include <string.h>

#include "sql/print.h"

/* What names of result columns are to be kept, by AS where their text changes. */
enum sql_keep_names {
        SQL_KEEP_NONE = 0,
        SQL_KEEP_INNER, /* as the columns of a subquery, view or table are called */
        SQL_KEEP_OUTER, /* as the columns of the answer are called */
};

/* Owner: the call of sql_print() on whose stack it is. */
struct sql_printer {
        struct buf *b;
        const struct sql_print_options *options;
        size_t start;                   /* of what this call prints, in b */
        uint32_t depth;                 /* nodes around the one being printed */
        uint32_t n_variables;           /* largest number printed so far */
        bool glue;                      /* no blank before the next token */
        enum sql_keep_names keep_names; /* of the next SELECT */
        bool is_too_deep;
};

/* Appends a token, a blank before it where one belongs. */
void sql_emit_n(struct sql_printer *pr, const char *text, size_t n_bytes);
static inline void sql_emit(struct sql_printer *pr, const char *text)
{
        sql_emit_n(pr, text, strlen(text));
}
/* Between two names. */
void sql_emit_dot(struct sql_printer *pr);
/* "(" with a blank before it, as of a list; emit it as a token for that of a call. */
void sql_emit_list_open(struct sql_printer *pr);

/* A name in double quotes, whatever it is made of. */
void sql_emit_alias(struct sql_printer *pr, struct sql_str name);
void sql_emit_names(struct sql_printer *pr, const struct sql_names *names); /* (a, b) */
/* AS name, or nothing. */
void sql_emit_as(struct sql_printer *pr, const struct sql_name *alias);
/* a, b of any nodes */
void sql_emit_list(struct sql_printer *pr, const struct sql_nodes *list);
#define sql_emit_nodes(pr, list) sql_emit_list((pr), (const struct sql_nodes *)(const void *)(list))
/* WHERE expr, or nothing. */
void sql_emit_clause(struct sql_printer *pr, const char *word, const struct sql_expr *e);

/* Without asking the hook. */
void sql_print_expr_(struct sql_printer *pr, const struct sql_expr *e);
void sql_print_window_(struct sql_printer *pr, const struct sql_window *w);
void sql_print_query_(struct sql_printer *pr,
                      const struct sql_node *n); /* SELECT and its parts, DML */
void sql_print_ddl_(struct sql_printer *pr, const struct sql_node *n); /* everything else */

const char *sql_conflict_word(enum sql_conflict c);
