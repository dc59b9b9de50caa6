/* text.c - formatting of values. wcwidth() takes the process's LC_CTYPE, which main() has set. */
#include "cli/text.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "common/utf8.h"

static const char hex_digits[] = "0123456789abcdef";

static void add_hex(struct buf *b, const uint8_t *p, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                buf_add_byte(b, (uint8_t)hex_digits[p[i] >> 4]);
                buf_add_byte(b, (uint8_t)hex_digits[p[i] & 15]);
        }
}

static void add_real(struct buf *b, double real, const char *fmt)
{
        char s[64];

        /* SQLite's own printf: the same digits as the result of a cast to text. */
        sqlite3_snprintf(sizeof s, s, fmt, real);
        buf_add_str(b, s);
}

void text_add_value(struct buf *b, const struct value *v)
{
        switch (v->type) {
        case VALUE_INTEGER:
                buf_printf(b, "%lld", (long long)v->integer);
                break;
        case VALUE_REAL:
                add_real(b, v->real, "%!.15g");
                break;
        case VALUE_TEXT:
                buf_add(b, v->data, v->n_bytes);
                break;
        case VALUE_BLOB:
                buf_add_str(b, "x'");
                add_hex(b, v->data, v->n_bytes);
                buf_add_str(b, "'");
                break;
        case VALUE_NULL:
                break;
        }
}

/* ---- JSON */

static void add_json_real(struct buf *b, double real)
{
        char s[64];

        if (real > 1.7976931348623157e308 || real < -1.7976931348623157e308) {
                buf_add_str(b, real > 0 ? "1e999" : "-1e999");
                return;
        }
        sqlite3_snprintf(sizeof s, s, "%!.15g", real);
        if (strtod(s, NULL) == real)
                buf_add_str(b, s);
        else
                buf_printf(b, "%.17g", real);
}

void text_add_json(struct buf *b, const struct value *v)
{
        switch (v->type) {
        case VALUE_INTEGER:
                text_add_value(b, v);
                break;
        case VALUE_REAL:
                add_json_real(b, v->real);
                break;
        case VALUE_TEXT:
                text_add_json_string(b, v->data, v->n_bytes);
                break;
        case VALUE_BLOB:
                buf_add_str(b, "\"");
                text_add_value(b, v);
                buf_add_str(b, "\"");
                break;
        case VALUE_NULL:
                buf_add_str(b, "null");
                break;
        }
}

/* Bytes of the valid UTF-8 character at p (1 to 4); 0 if there is none. */
static size_t utf8_length(const uint8_t *p, size_t n)
{
        size_t want = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

        if (want > n || !utf8_is_valid(p, want))
                return 0;
        return want;
}

static void add_json_char(struct buf *b, uint8_t c)
{
        static const char escapes[][2] = { { '"', '"' },  { '\\', '\\' }, { '\b', 'b' },
                                           { '\f', 'f' }, { '\n', 'n' },  { '\r', 'r' },
                                           { '\t', 't' } };

        for (size_t i = 0; i < ARRAY_LEN(escapes); i++) {
                if ((uint8_t)escapes[i][0] == c) {
                        buf_add_byte(b, '\\');
                        buf_add_byte(b, (uint8_t)escapes[i][1]);
                        return;
                }
        }
        if (c < 0x20 || c == 0x7f)
                buf_printf(b, "\\u%04x", c);
        else
                buf_add_byte(b, c);
}

void text_add_json_string(struct buf *b, const char *s, size_t n_bytes)
{
        const uint8_t *p = (const uint8_t *)s;

        buf_add_byte(b, '"');
        for (size_t i = 0, n; i < n_bytes; i += n) {
                n = utf8_length(p + i, n_bytes - i);
                if (n == 0) {
                        buf_add_str(b, "\xef\xbf\xbd");
                        n = 1;
                } else if (n == 1) {
                        add_json_char(b, p[i]);
                } else {
                        buf_add(b, p + i, n);
                }
        }
        buf_add_byte(b, '"');
}

/* ---- CSV, cells, names */

void text_add_csv(struct buf *b, const void *p, size_t n_bytes)
{
        const char *s = p;
        bool plain = n_bytes > 0;

        for (size_t i = 0; i < n_bytes && plain; i++)
                plain = s[i] > ' ' && s[i] < 0x7f && s[i] != ',' && s[i] != '"' && s[i] != '\'';
        if (plain) {
                buf_add(b, p, n_bytes);
                return;
        }
        buf_add_byte(b, '"');
        for (size_t i = 0; i < n_bytes; i++) {
                if (s[i] == '"')
                        buf_add_byte(b, '"');
                buf_add_byte(b, (uint8_t)s[i]);
        }
        buf_add_byte(b, '"');
}

static size_t add_escape(struct buf *b, uint8_t c)
{
        if (c == '\n' || c == '\t' || c == '\r') {
                buf_add_str(b, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
                return 2;
        }
        buf_add_str(b, "\\x");
        add_hex(b, &c, 1);
        return 4;
}

static wchar_t decode_utf8(const uint8_t *p, size_t n)
{
        uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

        for (size_t i = 1; i < n; i++)
                c = c << 6 | (p[i] & 0x3f);
        return (wchar_t)c;
}

/* Columns of a character that is shown. The C library knows those of its own version of Unicode;
 * of newer ones, pictures are two columns wide and most others one. */
static size_t char_width(wchar_t c)
{
        int w = wcwidth(c);

        if (w >= 0)
                return (size_t)w;
        return c >= 0x1f300 && c <= 0x1faff ? 2 : 1;
}

size_t text_add_cell(struct buf *b, const void *data, size_t n_bytes)
{
        const uint8_t *p = data;
        size_t width = 0;

        for (size_t i = 0, n; i < n_bytes; i += n) {
                wchar_t c;

                n = utf8_length(p + i, n_bytes - i);
                c = n ? decode_utf8(p + i, n) : 0;
                if (c < ' ' || (c >= 0x7f && c < 0xa0)) {
                        n = 1;
                        width += add_escape(b, p[i]);
                        continue;
                }
                buf_add(b, p + i, n);
                width += char_width(c);
        }
        return width;
}

void text_add_name(struct buf *b, const char *name)
{
        buf_add_byte(b, '"');
        for (const char *p = name; *p; p++) {
                if (*p == '"')
                        buf_add_byte(b, '"');
                buf_add_byte(b, (uint8_t)*p);
        }
        buf_add_byte(b, '"');
}
