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
