/* main.c - runs schedules.
 *
 *   tests/sim [--schedules N] [--seed S] [--variant NAME | --variants] [--trace]
 *
 *   --schedules N   how many, with seeds from S on (default 1000, 1)
 *   --variant NAME  with this mistake: succeeds as soon as it is noticed, fails if it is not
 *   --variants      all of them, one after the other
 *   --trace         tells everything that happens in the schedule S
 *   --list          names the mistakes
 *
 * With SHOAL_TEST_LONG in the environment there are 50 times as many schedules. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "tests/sim/sim.h"

struct totals {
        uint64_t n_schedules, n_steps, n_crashes, n_commits, n_two_phase, n_cuts, n_unknown;
};

static void add_up(struct totals *t)
{
        t->n_schedules++;
        t->n_steps += w.n_steps;
        t->n_crashes += w.n_crashes;
        t->n_commits += w.n_commits;
        t->n_two_phase += w.n_two_phase;
        t->n_cuts += w.n_cuts;
        t->n_unknown += w.n_unknown;
}

static int run_plain(struct settings s, uint64_t n_schedules)
{
        struct totals t = { 0 };
        int64_t started_us = mono_us();
        double seconds;

        for (uint64_t i = 0; i < n_schedules; i++, s.seed++) {
                bool is_right = run_schedule(&s);

                add_up(&t);
                if (is_right)
                        continue;
                printf("seed %llu: %s\n", (unsigned long long)s.seed, w.violation);
                return EXIT_FAILURE;
        }
        seconds = (double)(mono_us() - started_us) / 1e6;
        printf(
            "%llu schedules, %.0f a second, no violation; %llu steps, %llu crashes, %llu commits, "
            "%llu of two phases, %llu cuts, %llu unknown\n",
            (unsigned long long)t.n_schedules, (double)t.n_schedules / seconds,
            (unsigned long long)t.n_steps, (unsigned long long)t.n_crashes,
            (unsigned long long)t.n_commits, (unsigned long long)t.n_two_phase,
            (unsigned long long)t.n_cuts, (unsigned long long)t.n_unknown);
        return EXIT_SUCCESS;
}

/* True: it was noticed. */
static bool run_variant(struct settings s, const struct variant *v, uint64_t n_schedules)
{
        s.variant = v;
        for (uint64_t i = 0; i < n_schedules; i++, s.seed++) {
                if (run_schedule(&s))
                        continue;
                printf("%-34s noticed by seed %llu: %s\n", v->name, (unsigned long long)s.seed,
                       w.violation);
                fflush(stdout);
                return true;
        }
        printf("%-34s NOT noticed in %llu schedules\n", v->name, (unsigned long long)n_schedules);
        fflush(stdout);
        return false;
}

static const struct variant *find_variant(const char *name)
{
        for (size_t i = 0; i < n_variants; i++) {
                if (!strcmp(variants[i].name, name))
                        return &variants[i];
        }
        fprintf(stderr, "sim: no variant %s (see --list)\n", name);
        exit(2);
}

static void list(void)
{
        for (size_t i = 0; i < n_variants; i++)
                puts(variants[i].name);
        exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
        struct settings s = { .seed = 1 };
        uint64_t n_schedules = 1000;
        bool all = false;
        size_t n_missed = 0;

        for (int i = 1; i < argc; i++) {
                const char *value = i + 1 < argc ? argv[i + 1] : "";

                if (!strcmp(argv[i], "--schedules"))
                        n_schedules = strtoull(value, NULL, 10), i++;
                else if (!strcmp(argv[i], "--seed"))
                        s.seed = strtoull(value, NULL, 10), i++;
                else if (!strcmp(argv[i], "--variant"))
                        s.variant = find_variant(value), i++;
                else if (!strcmp(argv[i], "--variants"))
                        all = true;
                else if (!strcmp(argv[i], "--trace"))
                        s.is_traced = true;
                else if (!strcmp(argv[i], "--list"))
                        list();
                else {
                        fprintf(stderr, "sim: unknown option %s\n", argv[i]);
                        return 2;
                }
        }
        if (getenv("SHOAL_TEST_LONG") && *getenv("SHOAL_TEST_LONG") && !all && !s.variant) {
                s.seed *= 50;
                n_schedules *= 50;
        }
        if (s.is_traced)
                n_schedules = 1;
        if (!all && !s.variant)
                return run_plain(s, n_schedules);
        if (!all)
                return run_variant(s, s.variant, n_schedules) ? EXIT_SUCCESS : EXIT_FAILURE;
        for (size_t i = 0; i < n_variants; i++)
                n_missed += !run_variant(s, &variants[i], n_schedules);
        printf("%zu of %zu variants noticed\n", n_variants - n_missed, n_variants);
        return n_missed ? EXIT_FAILURE : EXIT_SUCCESS;
}
