/* printer_table.c - rows between rules, columns as wide as the widest of the first rows. A wider
 * cell that comes later sticks out: the alternative would be to hold back everything. */
#include <string.h>

#include "cli/printer_int.h"
#include "cli/text.h"
#include "common/util.h"

enum { KIND_NUMBER = 1, KIND_OTHER = 2 };
enum { MAX_HELD_ROWS = 1000, MAX_HELD_BYTES = 4 << 20 };

struct cell {
        char *text; /* on one line */
        size_t n_bytes;
        size_t width; /* in columns of the terminal */
        bool is_number;
        bool is_null;
};

void table_done(struct table *t)
{
        for (size_t i = 0; i < t->n_cells; i++)
                free(t->cells[i].text);
        free(t->cells);
        free(t->widths);
        free(t->kinds);
}

static struct cell make_cell(const struct table *t, const struct value *v)
{
        struct buf raw = BUF_INIT(0);
        struct buf line = BUF_INIT(0);
        struct cell c = {
                .is_number = v->type == VALUE_INTEGER || v->type == VALUE_REAL,
                .is_null = v->type == VALUE_NULL,
        };

        if (c.is_null)
                buf_add_str(&raw, t->settings->null_text);
        else
                text_add_value(&raw, v);
        c.width = text_add_cell(&line, raw.data, raw.n_bytes);
        c.n_bytes = line.n_bytes;
        c.text = buf_take_str(&line);
        buf_done(&raw);
        return c;
}

static void hold(struct table *t, struct cell c)
{
        size_t column = t->n_cells % t->n_columns;

        if (t->n_cells == t->n_allocated) {
                t->n_allocated = t->n_allocated ? t->n_allocated * 2 : 64;
                t->cells = xrealloc(t->cells, t->n_allocated * sizeof *t->cells);
        }
        if (c.width > t->widths[column])
                t->widths[column] = c.width;
        t->n_held_bytes += c.n_bytes;
        t->cells[t->n_cells++] = c;
}

void table_columns(struct table *t, const char *const *names, size_t n)
{
        t->n_columns = n;
        t->widths = xcalloc(n, sizeof *t->widths);
        t->kinds = xcalloc(n, sizeof *t->kinds);
        for (size_t i = 0; i < n; i++) {
                struct value v = value_text(names[i], strlen(names[i]));

                hold(t, make_cell(t, &v));
        }
}

static void print_pad(struct table *t, size_t n)
{
        fprintf(t->out, "%*s", (int)n, "");
}

static void print_cell(struct table *t, size_t column, const struct cell *c, bool right)
{
        size_t pad = t->widths[column] > c->width ? t->widths[column] - c->width : 0;
        bool dim = c->is_null && t->settings->color;

        fputs(column ? " | " : "| ", t->out);
        if (right)
                print_pad(t, pad);
        if (dim)
                fputs("\x1b[2m", t->out);
        fwrite(c->text, 1, c->n_bytes, t->out);
        if (dim)
                fputs("\x1b[0m", t->out);
        if (!right)
                print_pad(t, pad);
        if (column + 1 == t->n_columns)
                fputs(" |\n", t->out);
}

static void print_rule(struct table *t)
{
        for (size_t i = 0; i < t->n_columns; i++) {
                fputs("+-", t->out);
                for (size_t k = 0; k < t->widths[i]; k++)
                        fputc('-', t->out);
                fputc('-', t->out);
        }
        fputs("+\n", t->out);
}

/* The widths are what they are now. */
static void begin_flow(struct table *t)
{
        print_rule(t);
        for (size_t i = 0; i < t->n_cells; i++) {
                size_t column = i % t->n_columns;
                bool is_name = i < t->n_columns;

                if (i == t->n_columns)
                        print_rule(t);
                print_cell(t, column, &t->cells[i],
                           is_name ? t->kinds[column] == KIND_NUMBER : t->cells[i].is_number);
                free(t->cells[i].text);
        }
        t->n_cells = 0;
        t->flowing = true;
}

void table_row(struct table *t, const struct value *values)
{
        for (size_t i = 0; i < t->n_columns; i++) {
                struct cell c = make_cell(t, &values[i]);

                if (t->flowing) {
                        print_cell(t, i, &c, c.is_number);
                        free(c.text);
                        continue;
                }
                if (!c.is_null)
                        t->kinds[i] |= c.is_number ? KIND_NUMBER : KIND_OTHER;
                hold(t, c);
        }
        if (!t->flowing &&
            (t->n_cells >= MAX_HELD_ROWS * t->n_columns || t->n_held_bytes >= MAX_HELD_BYTES))
                begin_flow(t);
}

void table_end(struct table *t)
{
        if (!t->flowing)
                begin_flow(t);
        print_rule(t);
}
