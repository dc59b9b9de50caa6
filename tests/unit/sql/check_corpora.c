/* check_corpora.c - not a test, but a tool: takes sqllogictest files (.test) and scripts (.sql),
 * and checks for every statement in them that parser and SQLite agree, that printing is a fixed
 * point, and that the printed and the normalised text do what the original does.
 *
 *     check_corpora FILE… */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "sql/parse.h"
#include "tests/unit/sql/oracle.h"
#include "tests/unit/sql/same_rows.h"

static struct {
        size_t n_statements, n_wrong;
        size_t n_parsed, n_normalized, n_values, n_reordered;
} total;

static void check(struct same_rows *s, const char *file, const char *sql, size_t n_bytes)
{
        const char *wrong = oracle_compare(s->original, sql, n_bytes);

        if (!wrong)
                wrong = same_rows_check(s, sql, n_bytes);
        total.n_statements++;
        if (!wrong)
                return;
        total.n_wrong++;
        if (total.n_wrong <= 20)
                printf("%s: %.*s\n    %s\n", file, (int)(n_bytes < 3000 ? n_bytes : 3000), sql,
                       wrong);
}

static void check_script(struct same_rows *s, const char *file, const char *sql, size_t n_bytes)
{
        while (n_bytes) {
                size_t n = sql_split(sql, n_bytes, NULL);

                if (!n)
                        n = n_bytes;
                check(s, file, sql, n);
                sql += n;
                n_bytes -= n;
        }
}

/* The end of the line that begins at p. */
static char *end_of_line(char *p)
{
        return p + strcspn(p, "\n");
}

/* The lines up to an empty one or one of dashes; *p is moved behind them. */
static void check_record(struct same_rows *s, const char *file, char **p, bool skip)
{
        char *start = *p;
        char *end = start;

        while (*end && *end != '\n' && *end != '\r' && strncmp(end, "----", 4) != 0) {
                end = end_of_line(end);
                if (*end)
                        end++;
        }
        *p = end;
        while (end > start && (end[-1] == '\n' || end[-1] == '\r'))
                end--;
        if (!skip)
                check(s, file, start, (size_t)(end - start));
}

static void check_slt(struct same_rows *s, const char *file, char *p)
{
        bool skip = false;

        while (*p) {
                char *end = end_of_line(p);
                bool is_record = strncmp(p, "statement", 9) == 0 || strncmp(p, "query", 5) == 0;

                if (strncmp(p, "skipif sqlite", 13) == 0 ||
                    (strncmp(p, "onlyif", 6) == 0 && strncmp(p, "onlyif sqlite", 13) != 0))
                        skip = true;
                p = *end ? end + 1 : end;
                if (is_record) {
                        check_record(s, file, &p, skip);
                        skip = false;
                }
        }
}

static char *read_file(const char *file, size_t *ret_n_bytes)
{
        FILE *f = fopen(file, "rb");
        struct buf b = BUF_INIT(0);
        size_t n;

        if (!f) {
                perror(file);
                exit(2);
        }
        do {
                uint8_t *p = buf_reserve(&b, 65536);

                n = p ? fread(p, 1, 65536, f) : 0;
                b.n_bytes += n;
        } while (n);
        fclose(f);
        *ret_n_bytes = b.n_bytes;
        return buf_take_str(&b);
}

int main(int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                size_t n_bytes;
                char *text = read_file(argv[i], &n_bytes);
                const char *ending = strrchr(argv[i], '.');
                struct same_rows s;

                same_rows_init(&s);
                if (ending && strcmp(ending, ".test") == 0)
                        check_slt(&s, argv[i], text);
                else
                        check_script(&s, argv[i], text, n_bytes);
                total.n_parsed += s.n_parsed;
                total.n_normalized += s.n_normalized;
                total.n_values += s.n_values;
                total.n_reordered += s.n_reordered;
                same_rows_done(&s);
                free(text);
        }
        printf("%zu statements, %zu wrong; %zu parsed; %zu normalised, %zu literals taken out, %zu "
               "gave "
               "their rows in another order\n",
               total.n_statements, total.n_wrong, total.n_parsed, total.n_normalized,
               total.n_values, total.n_reordered);
        return total.n_wrong != 0;
}
