/* printer.c - the modes that print a row without knowing the others: list, csv, json. */
#include "cli/printer.h"

#include <string.h>

#include "cli/printer_int.h"
#include "cli/text.h"
#include "common/util.h"

/* Owner: one at a time. */
struct printer {
        FILE *out;
        const struct print_settings *settings;
        char **names;
        size_t n_columns;
        size_t n_rows;
        bool begun; /* printer_columns was called */
        struct buf line;
        struct table table;
};

static const char *const mode_names[] = {
        [PRINT_LIST] = "list",
        [PRINT_TABLE] = "table",
        [PRINT_CSV] = "csv",
        [PRINT_JSON] = "json",
};

const char *print_mode_name(enum print_mode m)
{
        return mode_names[m];
}

bool print_mode_parse(const char *s, enum print_mode *ret_mode)
{
        for (size_t i = 0; i < ARRAY_LEN(mode_names); i++) {
                if (strcmp(s, mode_names[i]) == 0) {
                        *ret_mode = (enum print_mode)i;
                        return true;
                }
        }
        return false;
}

struct printer *printer_new(FILE *out, const struct print_settings *s)
{
        struct printer *p = xcalloc(1, sizeof *p);

        p->out = out;
        p->settings = s;
        p->table.out = out;
        p->table.settings = s;
        return p;
}

struct printer *printer_free(struct printer *p)
{
        if (!p)
                return NULL;
        for (size_t i = 0; i < p->n_columns; i++)
                free(p->names[i]);
        free(p->names);
        buf_done(&p->line);
        table_done(&p->table);
        free(p);
        return NULL;
}

static void flush_line(struct printer *p)
{
        if (p->line.n_bytes)
                fwrite(p->line.data, 1, p->line.n_bytes, p->out);
        p->line.n_bytes = 0;
}

static void add_field(struct printer *p, size_t i, const struct value *v)
{
        bool is_csv = p->settings->mode == PRINT_CSV;

        if (i > 0)
                buf_add_byte(&p->line, is_csv ? ',' : '|');
        if (v->type == VALUE_NULL)
                buf_add_str(&p->line, p->settings->null_text);
        else if (is_csv && v->type == VALUE_TEXT)
                text_add_csv(&p->line, v->data, v->n_bytes);
        else
                text_add_value(&p->line, v);
}

void printer_columns(struct printer *p, const char *const *names, size_t n)
{
        p->begun = true;
        p->n_columns = n;
        p->names = xcalloc(n, sizeof *p->names);
        for (size_t i = 0; i < n; i++)
                p->names[i] = xstrdup(names[i]);
        if (p->settings->mode == PRINT_TABLE) {
                table_columns(&p->table, names, n);
        } else if (p->settings->mode != PRINT_JSON && p->settings->headers && n) {
                for (size_t i = 0; i < n; i++) {
                        struct value v = value_text(names[i], strlen(names[i]));

                        add_field(p, i, &v);
                }
                buf_add_byte(&p->line, '\n');
                flush_line(p);
        }
}

static void add_json_row(struct printer *p, const struct value *values)
{
        buf_add_str(&p->line, p->n_rows ? ",\n{" : "[{");
        for (size_t i = 0; i < p->n_columns; i++) {
                if (i > 0)
                        buf_add_byte(&p->line, ',');
                text_add_json_string(&p->line, p->names[i], strlen(p->names[i]));
                buf_add_byte(&p->line, ':');
                text_add_json(&p->line, &values[i]);
        }
        buf_add_byte(&p->line, '}');
}

void printer_row(struct printer *p, const struct value *values)
{
        if (p->settings->mode == PRINT_TABLE) {
                table_row(&p->table, values);
        } else if (p->settings->mode == PRINT_JSON) {
                add_json_row(p, values);
        } else {
                for (size_t i = 0; i < p->n_columns; i++)
                        add_field(p, i, &values[i]);
                buf_add_byte(&p->line, '\n');
        }
        flush_line(p);
        p->n_rows++;
}

void printer_end(struct printer *p)
{
        if (!p->begun || p->n_columns == 0)
                return;
        if (p->settings->mode == PRINT_TABLE)
                table_end(&p->table);
        else if (p->settings->mode == PRINT_JSON)
                fputs(p->n_rows ? "]\n" : "[]\n", p->out);
}
