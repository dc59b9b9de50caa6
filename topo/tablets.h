/* tablets.h - which tablets are registered (in the store), which are alive and how full (only
 * here). A tablet that has not been heard of since this process started is unknown for three
 * heartbeats, then unhealthy. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "topo/op.h"

enum { TABLETS_MISSED_BEATS = 3, TABLETS_MAX_ID_BYTES = 63, TABLETS_MAX_ADDRESS_BYTES = 255 };

struct tablets;

/* What the last heartbeat said. */
struct tablet_state {
        bool healthy;
        uint64_t bytes_used;
        uint64_t bytes_capacity;
        uint32_t shard_count;
};

struct tablets *tablets_new(struct topo *t);
struct tablets *tablets_free(struct tablets *list); /* accepts NULL, returns NULL */
/* Borrowed until the next heartbeat; NULL: unknown. */
const struct tablet_state *tablets_find(const struct tablets *list, const char *id);
/* Notices who has fallen silent. */
void tablets_check(struct tablets *list);

/* What identifies a process: 1 to 63 of [A-Za-z0-9._-], and "host:port". ERR_INVALID (BAD_ID,
 * BAD_ADDRESS). Gates too. */
enum err_code tablets_check_identity(const char *id, const char *address,
                                     struct err *reterr) must_check_;

extern const struct op_method tablets_heartbeat; /* TopoInternal.TabletHeartbeat */
