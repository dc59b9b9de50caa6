/* plan_texts.h - the schema and the statements of plan_cost and plain_plans, and how they are
 * timed: the same texts, in blocks, processor time of the one thread. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/util.h"

enum { N_TABLES = 3, N_BLOCK = 100, MAX_ROUNDS = 1000, MAX_TEXT_BYTES = 512 };

static const char *const bench_tables[N_TABLES] = {
        "CREATE TABLE r (id INTEGER PRIMARY KEY, v TEXT)",
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT)",
        ("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, total NUMERIC, "
         "at TEXT, note TEXT)"),
};

/* Each %u is a number that no text before had: in a name of a column, so that the statement is a
 * new one, or in a literal, so that it is an old one with other values. */
static const struct {
        const char *label, *fresh, *again;
} bench_statements[] = {
        { "point read", "SELECT v AS a%u FROM r WHERE id = ?", "SELECT v FROM r WHERE id = %u" },
        { "insert", "INSERT INTO r (id, v) VALUES (?, ?) RETURNING id AS a%u",
          "INSERT INTO r (id, v) VALUES (%u, 'x')" },
        { "update",
          "UPDATE orders SET total = total + ?, note = ? WHERE id = ? RETURNING id AS a%u",
          "UPDATE orders SET total = total + 5, note = 'x' WHERE id = %u" },
        { "top ten",
          "SELECT id, total AS a%u FROM orders WHERE at >= ? ORDER BY total DESC LIMIT 10",
          "SELECT id, total FROM orders WHERE customer = %u ORDER BY total DESC LIMIT 10" },
        { "aggregate",
          "SELECT customer, COUNT(*) AS a%u, SUM(total), AVG(total) FROM orders WHERE total > ? "
          "GROUP BY customer",
          "SELECT customer, COUNT(*), SUM(total), AVG(total) FROM orders WHERE total > %u "
          "GROUP BY customer" },
        { "join",
          "SELECT c.name AS a%u, SUM(o.total) FROM orders o JOIN customers c ON c.id = o.customer "
          "WHERE c.city = ? GROUP BY c.name ORDER BY 2 DESC",
          "SELECT c.name, SUM(o.total) FROM orders o JOIN customers c ON c.id = o.customer "
          "WHERE c.id = %u GROUP BY c.name ORDER BY 2 DESC" },
        { "subquery", "SELECT id AS a%u FROM orders WHERE total > (SELECT AVG(total) FROM orders)",
          "SELECT id FROM orders WHERE customer = %u AND total > (SELECT AVG(total) FROM orders)" },
};

typedef char bench_text[MAX_TEXT_BYTES];

/* The next N_BLOCK texts of a statement; their numbers go on from call to call. */
static inline void bench_make_texts(const char *format, bench_text *texts)
{
        static unsigned number;

        for (unsigned i = 0; i < N_BLOCK; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                snprintf(texts[i], sizeof texts[i], format, ++number);
#pragma GCC diagnostic pop
        }
}

static inline double bench_cpu_us(void)
{
        struct timespec t;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static inline int bench_compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

/* Orders them. */
static inline double bench_median(double *values, unsigned n)
{
        qsort(values, n, sizeof *values, bench_compare);
        return values[n / 2];
}

/* Of main's arguments: the rounds of a block each; 0 after a message. */
static inline unsigned bench_rounds(int argc, char **argv)
{
        unsigned n = argc == 2 ? (unsigned)atoi(argv[1]) : 0;

        if (n && n <= MAX_ROUNDS)
                return n;
        fprintf(stderr, "usage: %s ROUNDS (of %d statements each, 1 to %d)\n", argv[0], N_BLOCK,
                MAX_ROUNDS);
        return 0;
}
