/* progress.h - a bar on standard error while a file is read, if that is a terminal. Owner: the main
 * thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
        const char *label; /* borrowed */
        uint64_t n_total;  /* 0: unknown, no bar */
        int64_t begun_us, shown_us;
        bool is_shown;
        bool enabled;
};

void progress_init(struct progress *p, const char *label, uint64_t n_total, bool enabled);
/* n_done of n_total; n_items of what ("rows"). Redraws ten times a second at most. */
void progress_show(struct progress *p, uint64_t n_done, uint64_t n_items, const char *what);
/* Takes the bar away, so that something else can be printed, or for good. */
void progress_clear(struct progress *p);
