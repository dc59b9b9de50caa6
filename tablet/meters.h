/* meters.h - what the service counts. Any thread. */
#pragma once

#include <stdint.h>

#include "common/err.h"

enum meter_kind {
        METER_INLINE = 0, /* a read answered on the loop thread */
        METER_READ,
        METER_WRITE,
        METER_PROBE,
        METER_SCHEMA,
        METER_N_KINDS,
};

void meters_init(void); /* once, before any other */
void meter_request(enum meter_kind kind, int64_t elapsed_us);
void meter_error(enum err_code code); /* of one shard */
void meter_handover(void);
void meter_streams(int delta);
void meter_requests_in_flight(int delta);
void meter_pins(int delta);
void meter_pins_refused(void);
