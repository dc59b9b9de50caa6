/* util.h - what the language leaves out: cleanup, ownership transfer, sizes. Safe on any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define must_check_ __attribute__((warn_unused_result))
#define cleanup_(fn) __attribute__((cleanup(fn)))
#define printf_(fmt, first) __attribute__((format(printf, fmt, first)))
#define unused_ __attribute__((unused))
#define noreturn_ __attribute__((noreturn))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct of the given type that holds ptr as its member. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Moves a pointer out of its variable, which becomes NULL: for values that leave a cleanup_ scope.
 */
#define TAKE(p)                            \
        ({                                 \
                __typeof__(p) take_ = (p); \
                (p) = NULL;                \
                take_;                     \
        })

/* Defines fn##p(type *), to be named in cleanup_(). fn accepts NULL. */
#define DEFINE_CLEANUP(type, fn)                  \
        static inline unused_ void fn##p(type *p) \
        {                                         \
                if (*p)                           \
                        fn(*p);                   \
        }                                         \
        struct swallow_semicolon_

static inline void freep(void *p)
{
        free(*(void **)p);
}

/* malloc and friends that end the process when memory is gone: for small things of bounded number.
 * What a client can make grow comes from an arena or a buf, which refuse. Never return NULL. */
void *xmalloc(size_t n_bytes) must_check_;
void *xcalloc(size_t n, size_t n_bytes) must_check_;
void *xrealloc(void *p, size_t n_bytes) must_check_;
char *xstrdup(const char *s) must_check_;
char *xstrndup(const char *s, size_t n_bytes) must_check_;
char *xasprintf(const char *fmt, ...) printf_(1, 2) must_check_;

/* Monotonic time, microseconds since an unspecified start. */
int64_t mono_us(void);
/* Wall-clock time, microseconds since 1970 UTC. */
int64_t wall_us(void);
