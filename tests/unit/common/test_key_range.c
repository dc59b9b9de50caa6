/* test_key_range.c - names of ranges, and which shard holds an id. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/key_range.h"
#include "common/shard_map.h"
#include "tests/unit/unit.h"

static const struct {
        uint32_t n;
        const char *names; /* of the first ones */
} split_cases[] = {
        { 1, "-" },
        { 2, "-80 80-" },
        { 3, "-55 55-aa aa-" },
        { 4, "-40 40-80 80-c0 c0-" },
        { 7, "-24 24-49 49-6d 6d-92 92-b6 b6-db db-" },
        { 8, "-20 20-40 40-60 60-80 80-a0 a0-c0 c0-e0 e0-" },
        { 10, "-19 19-33 33-4c 4c-66 66-80 80-99 99-b3 b3-cc cc-e6 e6-" },
        { 16, "-10 10-20 20-30" },
        { 256, "-01 01-02 02-03" },
        { 512, "-0080 0080-0100 0100-0180" },
        { 65536, "-0001 0001-0002" },
        { 65537, "-0000ff 0000ff-0001ff" },
};

START_TEST(split_case)
{
        char text[400] = "", name[KEY_RANGE_NAME_BYTES];
        size_t want = strlen(split_cases[_i].names);

        for (uint32_t i = 0; i < split_cases[_i].n && strlen(text) < want; i++) {
                struct key_range r = key_range_of_n(i, split_cases[_i].n);

                key_range_name(&r, name);
                snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "",
                         name);
        }
        ck_assert_str_eq(text, split_cases[_i].names);
}
END_TEST

/* For every n: the ranges follow each other, none is empty, and their names are distinct and parse.
 */
START_TEST(split_covers)
{
        static const uint32_t more[] = { 511, 512, 513, 1000, 4096, 65535, 65536, 65537, 100000 };

        for (uint32_t k = 1; k < 300 + ARRAY_LEN(more); k++) {
                uint32_t n = k < 300 ? k : more[k - 300];
                uint64_t at = 0;

                for (uint32_t i = 0; i < n; i++) {
                        struct key_range r = key_range_of_n(i, n), back;
                        char name[KEY_RANGE_NAME_BYTES];

                        key_range_name(&r, name);
                        if (r.start != at || (i + 1 < n ? r.end <= r.start : r.end != 0))
                                ck_abort_msg("range %u of %u: %s", i, n, name);
                        if (key_range_parse(name, &back, NULL) || back.start != r.start ||
                            back.end != r.end)
                                ck_abort_msg("range %u of %u does not parse: %s", i, n, name);
                        at = r.end;
                }
        }
}
END_TEST

static const struct {
        const char *name;
        enum err_code want;
        uint64_t start, end;
        const char *canonical;
} parse_cases[] = {
        { "-", ERR_OK, 0, 0, "-" },
        { "-80", ERR_OK, 0, UINT64_C(0x80) << 56, "-80" },
        { "80-", ERR_OK, UINT64_C(0x80) << 56, 0, "80-" },
        { "80-c0", ERR_OK, UINT64_C(0x80) << 56, UINT64_C(0xc0) << 56, "80-c0" },
        { "8000-8080", ERR_OK, UINT64_C(0x80) << 56, UINT64_C(0x8080) << 48, "8000-8080" },
        { "8000-c000", ERR_OK, UINT64_C(0x80) << 56, UINT64_C(0xc0) << 56, "80-c0" },
        { "00-80", ERR_OK, 0, UINT64_C(0x80) << 56, "-80" },
        { "0000000000000001-", ERR_OK, 1, 0, "0000000000000001-" },
        { "-ffffffffffffffff", ERR_OK, 0, UINT64_MAX, "-ffffffffffffffff" },
        { "", ERR_INVALID, 0, 0, NULL },
        { "80", ERR_INVALID, 0, 0, NULL },
        { "8-", ERR_INVALID, 0, 0, NULL },
        { "80-8", ERR_INVALID, 0, 0, NULL },
        { "80-80", ERR_INVALID, 0, 0, NULL },
        { "c0-80", ERR_INVALID, 0, 0, NULL },
        { "-00", ERR_INVALID, 0, 0, NULL },
        { "80-c0-", ERR_INVALID, 0, 0, NULL },
        { "--", ERR_INVALID, 0, 0, NULL },
        { "8G-", ERR_INVALID, 0, 0, NULL },
        { "80-C0", ERR_INVALID, 0, 0, NULL },
        { " 80-", ERR_INVALID, 0, 0, NULL },
        { "000000000000000001-", ERR_INVALID, 0, 0, NULL },
};

START_TEST(parse_case)
{
        const char *name = parse_cases[_i].name;
        struct key_range r = { .start = 7, .end = 7 };
        char canonical[KEY_RANGE_NAME_BYTES];
        struct err e = ERR_INIT;

        ck_assert_msg(key_range_parse(name, &r, &e) == parse_cases[_i].want, "\"%s\"", name);
        if (parse_cases[_i].want) {
                ck_assert_str_eq(e.reason, "BAD_KEY_RANGE");
                ck_assert_msg(r.start == 7 && r.end == 7, "\"%s\" wrote its result", name);
                return;
        }
        ck_assert_msg(r.start == parse_cases[_i].start && r.end == parse_cases[_i].end, "\"%s\"",
                      name);
        key_range_name(&r, canonical);
        ck_assert_str_eq(canonical, parse_cases[_i].canonical);
}
END_TEST

START_TEST(range_has)
{
        struct key_range r = { .start = 16, .end = 32 }, last = { .start = 16, .end = 0 };

        ck_assert(!key_range_has(&r, 15));
        ck_assert(key_range_has(&r, 16));
        ck_assert(key_range_has(&r, 31));
        ck_assert(!key_range_has(&r, 32));
        ck_assert(key_range_has(&last, UINT64_MAX));
        ck_assert(!key_range_has(&last, 0));
}
END_TEST

/* ---- shard maps */

static struct shard_map_entry entry(const char *name)
{
        struct shard_map_entry e = { .name = name, .tablet = "tablet-0", .epoch = 1 };

        ck_assert_int_eq(key_range_parse(name, &e.range, NULL), ERR_OK);
        return e;
}

static const struct {
        const char *label;
        const char *names[4];
        enum err_code want;
        const char *msg;
} map_cases[] = {
        { "one", { "-" }, ERR_OK, NULL },
        { "two", { "-80", "80-" }, ERR_OK, NULL },
        { "any order", { "c0-", "-80", "80-c0" }, ERR_OK, NULL },
        { "none", { NULL }, ERR_INVALID, "there is no shard" },
        { "gap", { "-80", "c0-" }, ERR_INVALID, "no shard holds keyspace id 8000000000000000" },
        { "no start", { "80-" }, ERR_INVALID, "no shard holds keyspace id 0000000000000000" },
        { "no end", { "-80" }, ERR_INVALID, "no shard holds keyspace id 8000000000000000" },
        { "overlap", { "-80", "40-" }, ERR_INVALID, "shards -80 and 40- overlap" },
        { "twice", { "-80", "-80", "80-" }, ERR_INVALID, "shards -80 and -80 overlap" },
        { "all and more", { "-", "80-" }, ERR_INVALID, "shards - and 80- overlap" },
        { "two ends", { "-80", "80-", "c0-" }, ERR_INVALID, "shards 80- and c0- overlap" },
};

START_TEST(map_case)
{
        cleanup_(shard_map_unrefp) struct shard_map *m = NULL;
        struct shard_map_entry entries[4];
        struct err e = ERR_INIT;
        size_t n = 0;

        while (n < 4 && map_cases[_i].names[n]) {
                entries[n] = entry(map_cases[_i].names[n]);
                n++;
        }
        ck_assert_msg(shard_map_new(entries, n, &m, &e) == map_cases[_i].want, "%s: %s",
                      map_cases[_i].label, e.msg);
        if (map_cases[_i].want) {
                ck_assert_ptr_null(m);
                ck_assert_str_eq(e.msg, map_cases[_i].msg);
                return;
        }
        ck_assert_uint_eq(shard_map_size(m), n);
        for (size_t i = 0; i < n; i++) {
                const struct shard_map_entry *at = shard_map_at(m, i);

                ck_assert_uint_eq(shard_map_find(m, at->range.start), i);
                ck_assert_uint_eq(shard_map_find(m, at->range.end - 1), i);
        }
}
END_TEST

START_TEST(map_copies)
{
        char name[] = "-", tablet[] = "tablet-7";
        struct shard_map_entry e = { .name = name, .tablet = tablet, .epoch = 9 };
        struct shard_map *m = NULL, *same;

        ck_assert_int_eq(shard_map_new(&e, 1, &m, NULL), ERR_OK);
        name[0] = tablet[0] = '?';
        same = shard_map_ref(m);
        m = shard_map_unref(m);
        ck_assert_ptr_null(m);
        ck_assert_str_eq(shard_map_at(same, 0)->name, "-");
        ck_assert_str_eq(shard_map_at(same, 0)->tablet, "tablet-7");
        ck_assert_uint_eq(shard_map_at(same, 0)->epoch, 9);
        shard_map_unref(same);
        ck_assert_ptr_null(shard_map_unref(NULL));
}
END_TEST

/* The search agrees with asking every range, for every size up to 70 and at every bound. */
START_TEST(map_finds)
{
        for (uint32_t n = 1; n <= 70; n++) {
                cleanup_(shard_map_unrefp) struct shard_map *m = NULL;
                struct shard_map_entry entries[70];

                for (uint32_t i = 0; i < n; i++)
                        entries[n - 1 - i] = (struct shard_map_entry){
                                .name = "", .tablet = "", .range = key_range_of_n(i, n)
                        };
                ck_assert_int_eq(shard_map_new(entries, n, &m, NULL), ERR_OK);
                for (uint32_t i = 0; i < n; i++) {
                        uint64_t start = key_range_of_n(i, n).start;

                        for (uint64_t id = start - 1; id != start + 2; id++) {
                                size_t found = shard_map_find(m, id);

                                if (!key_range_has(&shard_map_at(m, found)->range, id))
                                        ck_abort_msg("%" PRIx64 " of %u", id, n);
                        }
                }
        }
}
END_TEST

static Suite *key_range_suite(void)
{
        Suite *s = suite_create("key_range");
        TCase *t = tcase_create("key_range");

        tcase_add_loop_test(t, split_case, 0, ARRAY_LEN(split_cases));
        tcase_add_test(t, split_covers);
        tcase_add_loop_test(t, parse_case, 0, ARRAY_LEN(parse_cases));
        tcase_add_test(t, range_has);
        tcase_add_loop_test(t, map_case, 0, ARRAY_LEN(map_cases));
        tcase_add_test(t, map_copies);
        tcase_add_test(t, map_finds);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(key_range_suite());
}
