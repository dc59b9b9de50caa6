/* held_pin.h - pins as requests use them: opened for all shards of a request in one go, by name
 * shared between the requests of a stream, kept until they are released. Loop thread.
 *
 * No request ever waits for a pin while it holds another: what a request needs it gets at once, or
 * it is refused (ERR_UNAVAILABLE, reason TOO_MANY_PINS) and the gate lets go of everything and
 * tries again. So statements cannot block each other, over however many tablets they reach. */
#pragma once

#include "tablet/service_int.h"

/* While is_busy or OPENING, pin belongs to the thread that is at work. */
struct held_pin {
        struct engine_pin pin;
        struct service *service;
        struct stream *stream; /* NULL: nobody will name it any more; goes with its last task */
        struct held_pin_key {
                uint64_t id;
                struct served_shard *served; /* held */
        } key;
        UT_hash_handle hh; /* in stream->pins */
        uint32_t round;
        enum { HELD_PIN_OPENING = 0, HELD_PIN_OPEN, HELD_PIN_FAILED } state;
        bool is_busy;
        int64_t deadline_us; /* of the request that opened it */
        struct err *failure; /* malloc'ed; FAILED */
        struct task *tasks;  /* that use it, pin_prev and pin_next */
};

/* Finds or makes the pins of a request that names one or brings a read_ts, and begins to open what
 * is new. ERR_UNAVAILABLE (TOO_MANY_PINS): nothing was done. */
enum err_code held_pins_begin(struct request *rq, struct err *reterr) must_check_;
/* A step of t that belongs to the opening has come back. */
void held_pins_on_task(struct task *t);
/* May t go on? Its pin is open and no other read is on its connection. */
bool held_pin_is_free(const struct task *t);
/* Around each step of a read. */
void held_pin_take(struct task *t);
void held_pin_put(struct task *t);
/* t has ended. */
void held_pin_leave(struct task *t);

/* Nobody on the stream names them any more: those called id; all; those too old or too late. */
void held_pins_release(struct stream *st, uint64_t id);
void held_pins_drop(struct stream *st);
void held_pins_sweep(struct stream *st, int64_t now_us);
