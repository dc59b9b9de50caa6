/* stat1.c - see stat1.h. Loop thread. */
#include "gate/stat1.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "gate/catalog_int.h"

enum {
        MAX_NUMBERS =
            17, /* rows, and of the first 16 columns of an index: estimates need no more */
        N_BISECTIONS = 60,
};

/* What one shard says of one index. */
struct said {
        struct said *next;
        const char *index; /* NULL: of the table */
        size_t shard;
        size_t n; /* at least 1 */
        double numbers[];
};

struct stat1 {
        const struct catalog *catalog;
        struct arena *arena;
        struct said **tables; /* per table of the catalog, the last first */
};

struct stat1 *stat1_new(const struct catalog *c, struct arena *a)
{
        struct stat1 *s = arena_calloc(a, 1, sizeof *s);

        if (!s)
                return NULL;
        s->catalog = c;
        s->arena = a;
        s->tables = arena_calloc(a, catalog_n_tables(c) + 1, sizeof *s->tables);
        return s->tables ? s : NULL;
}

/* "100 20 1 unordered sz=10": the numbers at the beginning. */
static size_t read_numbers(const char *stat, double *ret_numbers)
{
        size_t n = 0;

        while (n < MAX_NUMBERS && *stat >= '0' && *stat <= '9') {
                double v = 0;

                for (; *stat >= '0' && *stat <= '9'; stat++)
                        v = v * 10 + (*stat - '0');
                if (*stat && *stat != ' ')
                        break;
                ret_numbers[n++] = v;
                while (*stat == ' ')
                        stat++;
        }
        return n;
}

/* Where the rows of a table lie that is not sharded; what other shards say of it is of nothing. */
static bool counts(const struct catalog_table *t, size_t shard)
{
        return t->sharding == SHARDING_HASH || shard == CATALOG_HOME_SHARD;
}

enum err_code stat1_add(struct stat1 *s, size_t shard, const char *table, const char *index,
                        const char *stat, struct err *reterr)
{
        const struct catalog_table *t = catalog_find_table(s->catalog, table);
        double numbers[MAX_NUMBERS];
        struct said *said;
        size_t n;

        if (!t || !counts(t, shard))
                return ERR_OK;
        n = read_numbers(stat, numbers);
        if (!n)
                return ERR_OK;
        said = arena_alloc(s->arena, sizeof *said + n * sizeof *numbers);
        if (said)
                *said = (struct said){ .index = index ? arena_strdup(s->arena, index) : NULL,
                                       .shard = shard,
                                       .n = n };
        if (!said || (index && !said->index))
                return err_set(reterr, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                               "the statistics are too large");
        memcpy(said->numbers, numbers, n * sizeof *numbers);
        said->next = s->tables[t - catalog_table_at(s->catalog, 0)];
        s->tables[t - catalog_table_at(s->catalog, 0)] = said;
        return ERR_OK;
}

/* ---- different values */

/* How many different values a shard shows. */
static double shown(const struct said *s, size_t k)
{
        double each = k < s->n ? s->numbers[k] : 1;

        return each > 0 ? s->numbers[0] / each : s->numbers[0];
}

/* D where a draw of n shows d of them on average. */
static double estimate(double n, double d, double low, double high)
{
        for (int i = 0; i < N_BISECTIONS; i++) {
                double middle = (low + high) / 2;

                if (middle * (1 - exp(-n / middle)) < d)
                        low = middle;
                else
                        high = middle;
        }
        return high;
}

/* What cannot be counted is as much as can be. */
static uint64_t to_count(double rows)
{
        return rows < 9e18 ? (uint64_t)rows : (uint64_t)9e18;
}

static bool contains_sharding(const struct catalog_table *t, const int *columns, size_t n)
{
        for (size_t i = 0; i < t->n_shard_columns; i++) {
                size_t k = 0;

                /* The rowid goes by two names. */
                while (k < n && columns[k] != t->shard_columns[i] &&
                       !(columns[k] == -1 && t->shard_columns[i] == t->rowid_column))
                        k++;
                if (k == n)
                        return false;
        }
        return t->n_shard_columns > 0;
}

/* Values of the first k columns, over all of the list that are of the index. */
static double count_distinct(const struct said *list, const char *index, size_t k, bool adds_up)
{
        double rows = 0, sum = 0, largest = 0, n = 0;

        for (const struct said *s = list; s; s = s->next) {
                double d;

                if (!s->index || strcasecmp(s->index, index) != 0 || !s->numbers[0])
                        continue;
                d = shown(s, k);
                rows += s->numbers[0];
                sum += d;
                largest = d > largest ? d : largest;
                n++;
        }
        if (adds_up || n <= 1)
                return sum;
        return estimate(rows / n, sum / n, largest, sum);
}

/* ---- one table */

static double count_rows(const struct said *list, const char *index)
{
        double rows = 0;

        for (const struct said *s = list; s; s = s->next)
                if (s->index && strcasecmp(s->index, index) == 0)
                        rows += s->numbers[0];
        return rows;
}

/* A partial index has fewer rows than its table, a whole one as many. Negative: the arena is full.
 */
static double count_table_rows(const struct stat1 *s, const struct said *list)
{
        size_t n_shards = shard_map_size(catalog_shards(s->catalog));
        double *largest = arena_calloc(s->arena, n_shards, sizeof *largest);
        double rows = 0;

        if (!largest)
                return -1;
        for (; list; list = list->next)
                if (list->shard < n_shards && list->numbers[0] > largest[list->shard])
                        largest[list->shard] = list->numbers[0];
        for (size_t i = 0; i < n_shards; i++)
                rows += largest[i];
        return rows;
}

static Shoal__V1__IndexStatistics *combine_index(const struct stat1 *s,
                                                 const struct catalog_table *t,
                                                 const struct said *list, const char *index)
{
        Shoal__V1__IndexStatistics *m = arena_alloc(s->arena, sizeof *m);
        int columns[MAX_NUMBERS - 1];
        double before = 0;
        size_t n;

        if (!m)
                return NULL;
        shoal__v1__index_statistics__init(m);
        n = catalog_index_columns(s->catalog, t, index, columns, ARRAY_LEN(columns));
        m->name = (char *)(uintptr_t)index;
        m->rows = to_count(count_rows(list, index));
        m->distinct = arena_calloc(s->arena, n + 1, sizeof *m->distinct);
        if (!m->distinct)
                return NULL;
        for (; m->n_distinct < n; m->n_distinct++) {
                double d = count_distinct(list, index, m->n_distinct + 1,
                                          contains_sharding(t, columns, m->n_distinct + 1));

                before = d > before ? d : before;
                m->distinct[m->n_distinct] = to_count(before + 0.5);
        }
        return m;
}

static bool is_first(const struct said *list, const struct said *s)
{
        for (; list != s; list = list->next)
                if (list->index && strcasecmp(list->index, s->index) == 0)
                        return false;
        return true;
}

static int compare_names(const void *a, const void *b)
{
        const Shoal__V1__IndexStatistics *const *x = a, *const *y = b;

        return strcasecmp((*x)->name, (*y)->name);
}

/* In order of their names, so that the same statistics are the same message. */
static bool combine_indexes(const struct stat1 *s, const struct catalog_table *t,
                            const struct said *list, Shoal__V1__TableStatistics *m)
{
        size_t n = 0;

        for (const struct said *p = list; p; p = p->next)
                n += p->index && is_first(list, p);
        m->indexes = arena_calloc(s->arena, n + 1, sizeof(Shoal__V1__IndexStatistics *));
        if (!m->indexes)
                return false;
        for (const struct said *p = list; p; p = p->next) {
                if (!p->index || !is_first(list, p))
                        continue;
                m->indexes[m->n_indexes] = combine_index(s, t, list, p->index);
                if (!m->indexes[m->n_indexes++])
                        return false;
        }
        qsort(m->indexes, m->n_indexes, sizeof(Shoal__V1__IndexStatistics *), compare_names);
        return true;
}

Shoal__V1__TableStatistics *stat1_combine(const struct stat1 *s, const struct catalog_table *t)
{
        const struct said *list = s->tables[t - catalog_table_at(s->catalog, 0)];
        Shoal__V1__TableStatistics *m = arena_alloc(s->arena, sizeof *m);
        double rows = count_table_rows(s, list);

        if (!m || rows < 0)
                return NULL;
        shoal__v1__table_statistics__init(m);
        m->table = (char *)(uintptr_t)t->name;
        m->rows = to_count(rows);
        return combine_indexes(s, t, list, m) ? m : NULL;
}
