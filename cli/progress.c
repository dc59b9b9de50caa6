/* progress.c - one line, drawn over and over. */
#include "cli/progress.h"

#include <stdio.h>

#include "common/util.h"

enum { REDRAW_US = 100000, BAR_COLUMNS = 30 };

void progress_init(struct progress *p, const char *label, uint64_t n_total, bool enabled)
{
        *p = (struct progress){ .label = label,
                                .n_total = n_total,
                                .begun_us = mono_us(),
                                .enabled = enabled && n_total > 0 };
}

void progress_show(struct progress *p, uint64_t n_done, uint64_t n_items, const char *what)
{
        static const char full[] = "==============================";
        int64_t now = mono_us();
        int n_full;

        if (!p->enabled || now - p->shown_us < REDRAW_US || now - p->begun_us < REDRAW_US)
                return;
        if (n_done > p->n_total)
                n_done = p->n_total;
        p->shown_us = now;
        p->is_shown = true;
        n_full = (int)(n_done * BAR_COLUMNS / p->n_total);
        fprintf(stderr, "\r%s [%.*s%*s] %3d %%  %llu %s\x1b[K", p->label, n_full, full,
                BAR_COLUMNS - n_full, "", (int)(n_done * 100 / p->n_total),
                (unsigned long long)n_items, what);
        fflush(stderr);
}

void progress_clear(struct progress *p)
{
        if (!p->is_shown)
                return;
        fputs("\r\x1b[K", stderr);
        fflush(stderr);
        p->is_shown = false;
}
