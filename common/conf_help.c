/* conf_help.c - settings described for people: --help and docs/configuration.md. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/conf_int.h"

enum { WIDTH = 96, INDENT = 6 };

/* Appends the text in lines of at most WIDTH, each behind INDENT blanks. */
static void add_wrapped(struct buf *b, const char *text)
{
        size_t column = 0;

        while (*text) {
                size_t n = strcspn(text, " ");

                if (column && column + 1 + n > WIDTH) {
                        buf_add_byte(b, '\n');
                        column = 0;
                }
                if (column == 0) {
                        buf_printf(b, "%*s", INDENT, "");
                        column = INDENT;
                } else {
                        buf_add_byte(b, ' ');
                        column++;
                }
                buf_add(b, text, n);
                column += n;
                text += n;
                text += strspn(text, " ");
        }
        buf_add_byte(b, '\n');
}

static const char *metavar(const struct conf_def *d)
{
        if (d->metavar)
                return d->metavar;
        switch (d->type) {
        case CONF_BOOL:
                return "true|false";
        case CONF_UINT:
                return "N";
        case CONF_MS:
                return "TIME";
        case CONF_BYTES:
                return "SIZE";
        default:
                return "TEXT";
        }
}

/* "10ms to 1h", or "" where there is no range worth telling. */
static void format_range(const struct conf_def *d, char *ret_text, size_t n_bytes)
{
        char low[32], high[32];

        *ret_text = '\0';
        if (d->type == CONF_STR || d->type == CONF_BOOL || (!d->min && !d->max))
                return;
        conf_format_number(d->type, d->min, low, sizeof low);
        conf_format_number(d->type, d->max, high, sizeof high);
        if (d->max)
                snprintf(ret_text, n_bytes, "%s to %s", low, high);
        else
                snprintf(ret_text, n_bytes, "at least %s", low);
}

static void add_option(struct buf *b, const struct conf_def *d)
{
        struct buf text = BUF_INIT(0);
        char env[128], range[80];
        char *s;

        conf_env_name(d->name, env, sizeof env);
        format_range(d, range, sizeof range);
        buf_printf(&text, "%s", d->help);
        if (!d->fallback)
                buf_add_str(&text, " Must be given.");
        else if (*d->fallback)
                buf_printf(&text, " Default: %s.", d->fallback);
        if (*range)
                buf_printf(&text, " Range: %s.", range);
        buf_printf(&text, " [%s]", env);
        s = buf_take_str(&text);
        assert(s);
        buf_printf(b, "  --%s%s%s%s\n", d->name, d->type == CONF_BOOL ? "[=" : "=", metavar(d),
                   d->type == CONF_BOOL ? "]" : "");
        add_wrapped(b, s);
        free(s);
}

char *conf_help(const struct conf_table *table)
{
        struct buf b = BUF_INIT(0);
        char *s;

        buf_printf(&b, "Usage: %s [--NAME=VALUE]...\n\n%s\n\n", table->program, table->summary);
        buf_add_str(
            &b,
            "Each setting may be a flag, a line \"name = value\" in the file of --config, or the\n"
            "variable of the environment shown in brackets. Flags win over the environment, which "
            "wins\n"
            "over the file.\n\n");
        for (size_t i = 0; i < table->n_defs; i++)
                add_option(&b, &table->defs[i]);
        buf_add_str(&b, "  --config=FILE\n      File to read settings from. [SHOAL_CONFIG]\n"
                        "  --help[=markdown]\n      Print this and exit.\n"
                        "  --version\n      Print the version and exit.\n");
        s = buf_take_str(&b);
        assert(s);
        return s;
}

/* A cell must not hold what ends it. */
static void add_cell(struct buf *b, const char *s)
{
        for (; *s; s++) {
                if (*s == '|')
                        buf_add_byte(b, '\\');
                buf_add_byte(b, *s == '\n' ? ' ' : (uint8_t)*s);
        }
}

char *conf_markdown(const struct conf_table *table)
{
        struct buf b = BUF_INIT(0);
        char *s;

        buf_add_str(&b, "| flag | environment | default | range | meaning |\n"
                        "| --- | --- | --- | --- | --- |\n");
        for (size_t i = 0; i < table->n_defs; i++) {
                const struct conf_def *d = &table->defs[i];
                char env[128], range[80];

                conf_env_name(d->name, env, sizeof env);
                format_range(d, range, sizeof range);
                buf_printf(&b, "| `--%s=", d->name);
                add_cell(&b, metavar(d));
                buf_printf(&b, "` | `%s` | ", env);
                if (!d->fallback) {
                        buf_add_str(&b, "(must be given)");
                } else if (*d->fallback) {
                        buf_add_byte(&b, '`');
                        add_cell(&b, d->fallback);
                        buf_add_byte(&b, '`');
                }
                buf_printf(&b, " | %s | ", range);
                add_cell(&b, d->help);
                buf_add_str(&b, " |\n");
        }
        s = buf_take_str(&b);
        assert(s);
        return s;
}
