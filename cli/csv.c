/* csv.c - a character at a time through stdio's buffer. */
#include "cli/csv.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

void csv_init(struct csv *c, FILE *in)
{
        int first = getc_unlocked(in);

        *c = (struct csv){ .in = in, .next_line = 1, .bytes = BUF_INIT(CSV_MAX_RECORD_BYTES) };
        /* A byte order mark is no part of the first name. */
        if (first == 0xef && getc_unlocked(in) == 0xbb && getc_unlocked(in) == 0xbf)
                return;
        if (first == 0xef)
                rewind(in);
        else if (first != EOF)
                ungetc(first, in);
}

void csv_done(struct csv *c)
{
        buf_done(&c->bytes);
        free(c->ends);
}

static void end_field(struct csv *c)
{
        if (c->n_fields == c->n_allocated) {
                c->n_allocated = c->n_allocated ? c->n_allocated * 2 : 32;
                c->ends = xrealloc(c->ends, c->n_allocated * sizeof *c->ends);
        }
        c->ends[c->n_fields++] = c->bytes.n_bytes;
        buf_add_byte(&c->bytes, 0);
}

/* Behind the opening quote. Returns what follows the closing one; EOF with *ret_open if there is
 * none. */
static int read_quoted(struct csv *c, bool *ret_open)
{
        for (;;) {
                int ch = getc_unlocked(c->in);

                if (ch == '"') {
                        ch = getc_unlocked(c->in);
                        if (ch != '"')
                                return ch;
                }
                if (ch == EOF) {
                        *ret_open = true;
                        return EOF;
                }
                if (ch == '\n')
                        c->next_line++;
                buf_add_byte(&c->bytes, (uint8_t)ch);
        }
}

static bool ends_field(int ch)
{
        return ch == ',' || ch == '\n' || ch == EOF;
}

/* Reads one field; returns what ended it: a comma, a newline, EOF. What stands between a closing
 * quote and the comma is taken as it is. */
static int read_field(struct csv *c, int ch, bool *ret_open)
{
        if (ch == '"')
                ch = read_quoted(c, ret_open);
        while (!ends_field(ch)) {
                int next = getc_unlocked(c->in);

                if (ch != '\r' || (next != '\n' && next != EOF))
                        buf_add_byte(&c->bytes, (uint8_t)ch);
                ch = next;
        }
        return ch;
}

enum err_code csv_next(struct csv *c, bool *ret_more, struct err *reterr)
{
        bool is_open = false;
        int ch;

        c->n_fields = 0;
        c->bytes.n_bytes = 0;
        c->line = c->next_line;
        ch = getc_unlocked(c->in);
        *ret_more = ch != EOF;
        while (ch != EOF && !c->bytes.failed && c->n_fields <= CSV_MAX_FIELDS) {
                ch = read_field(c, ch, &is_open);
                end_field(c);
                if (ch != ',')
                        break;
                ch = getc_unlocked(c->in);
                if (ch == EOF)
                        end_field(c); /* the file ends behind a comma */
        }
        c->next_line += ch == '\n';
        if (ferror(c->in))
                return err_set(reterr, ERR_UNAVAILABLE, "", "%s", strerror(errno));
        if (is_open)
                return err_set(reterr, ERR_INVALID, "", "line %ld: a quote is not closed", c->line);
        if (c->bytes.failed || c->n_fields > CSV_MAX_FIELDS)
                return err_set(reterr, ERR_EXHAUSTED, "",
                               "line %ld: a record has more than %d bytes or %d fields", c->line,
                               CSV_MAX_RECORD_BYTES, CSV_MAX_FIELDS);
        return ERR_OK;
}

const char *csv_field(const struct csv *c, size_t i, size_t *ret_n_bytes)
{
        size_t start = i ? c->ends[i - 1] + 1 : 0;

        *ret_n_bytes = c->ends[i] - start;
        return (const char *)c->bytes.data + start;
}
