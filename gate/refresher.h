/* refresher.h - keeps the statistics of tables up to date in the background: when this gate has
 * written enough to a table (gate/refresh.h), its shards analyze it, one table at a time. Loop
 * thread. */
#pragma once

#include "gate/catalog.h"

struct gate;
struct refresher;

/* g's topology, tablets and metrics are there; g->options.statistics_interval_ms 0: never does
 * anything. Never NULL. */
struct refresher *refresher_new(struct gate *g);
struct refresher *refresher_free(struct refresher *r); /* accepts NULL, returns NULL */
/* A write to t has changed so many rows. */
void refresher_note(struct refresher *r, const struct catalog *c, const struct catalog_table *t,
                    uint64_t n_rows);
