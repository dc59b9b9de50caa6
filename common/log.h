/* log.h - structured logs: one line an event on stderr, "ts=… level=… event=… key=value …". Any
 * thread; lines do not mix. */
#pragma once

#include "common/err.h"

enum log_level { LOG_DEBUG = 0, LOG_INFO = 1, LOG_WARN = 2, LOG_ERROR = 3 };

/* Names the process in each line ("tablet-0") and sets what is printed. Before any thread. SIGPIPE
 * is ignored from then on: a reader of the log that goes away must not end the process. */
void log_init(const char *process, enum log_level min_level);
/* ERR_INVALID: none of debug, info, warn, error. */
enum err_code log_level_parse(const char *s, enum log_level *ret_level,
                              struct err *reterr) must_check_;

/* event is a short stable word ("shard_opened"); a format, which must be a literal and may be left
 * out, gives further "key=value" pairs, where values that may hold spaces are written with %s
 * through log_quote(). A line is cut at 4096 bytes. The same event from the same place is limited
 * to 10 lines a second; what was left out is counted in the next line (suppressed=N). */
#define log_event(level, event, ...)                                   \
        do {                                                           \
                static struct log_limit log_limit_;                    \
                log_write(&log_limit_, level, event, " " __VA_ARGS__); \
        } while (0)

struct log_limit {
        _Atomic long second; /* of the monotonic clock, plus 1; 0: never used */
        _Atomic unsigned n_in_second;
        _Atomic unsigned n_suppressed;
};
/* What log_event() calls: fmt is " " or begins with it. */
void log_write(struct log_limit *limit, enum log_level level, const char *event, const char *fmt,
               ...) printf_(4, 5);

/* s in double quotes, with quotes and control characters escaped; in one of four per-thread buffers
 * used in turn, cut at 600 bytes. */
const char *log_quote(const char *s);
