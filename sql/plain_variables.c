/* plain_variables.c - see plain_variables.h. */
#include "sql/plain_variables.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sql/grammar.h"
#include "sql/lexer_int.h"

void sql_plain_variables(char *text)
{
        struct sql_token t = { 0, 0 };
        unsigned long largest = 0, number;
        int code;

        while ((code = sql_lex(text, t.offset + t.n_bytes, &t)) != 0) {
                if (code != TK_VARIABLE)
                        continue;
                if (text[t.offset] != '?')
                        return;
                number = t.n_bytes == 1 ? largest + 1 : strtoul(text + t.offset + 1, NULL, 10);
                if (number == largest + 1)
                        memset(text + t.offset + 1, ' ', t.n_bytes - 1);
                if (number > largest)
                        largest = number;
        }
}

void sql_replace_variables(const char *text, const char *(*value)(void *ctx, size_t number),
                           void *ctx, struct buf *b)
{
        struct sql_token t = { 0, 0 };
        size_t largest = 0, copied = 0;
        int code;

        while ((code = sql_lex(text, t.offset + t.n_bytes, &t)) != 0) {
                const char *instead;
                size_t number;

                if (code != TK_VARIABLE || text[t.offset] != '?')
                        continue;
                number = t.n_bytes == 1 ? largest + 1 : strtoul(text + t.offset + 1, NULL, 10);
                if (number > largest)
                        largest = number;
                instead = number ? value(ctx, number) : NULL;
                if (!instead)
                        continue;
                buf_add(b, text + copied, t.offset - copied);
                buf_add_str(b, instead);
                copied = t.offset + t.n_bytes;
        }
        buf_add_str(b, text + copied);
}
