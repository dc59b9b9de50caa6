/* err.c - making errors and adding context to them. Any thread. */
#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"

enum err_code err_set(struct err *e, enum err_code code, const char *reason, const char *fmt, ...)
{
        va_list ap;

        if (!e)
                return code;
        *e = (struct err)ERR_INIT;
        e->code = code;
        snprintf(e->reason, sizeof e->reason, "%s", reason);
        va_start(ap, fmt);
        vsnprintf(e->msg, sizeof e->msg, fmt, ap);
        va_end(ap);
        utf8_repair(e->msg);
        return code;
}

enum err_code err_wrap(struct err *e, enum err_code code, const char *fmt, ...)
{
        char context[ERR_MSG_BYTES];
        char rest[ERR_MSG_BYTES];
        va_list ap;
        size_t n;

        if (!e)
                return code;
        va_start(ap, fmt);
        vsnprintf(context, sizeof context, fmt, ap);
        va_end(ap);
        memcpy(rest, e->msg, sizeof rest);
        n = (size_t)snprintf(e->msg, sizeof e->msg, "%s: ", context);
        if (n < sizeof e->msg)
                snprintf(e->msg + n, sizeof e->msg - n, "%s", rest);
        utf8_repair(e->msg);
        e->code = code;
        return code;
}

const char *err_code_name(enum err_code code)
{
        static const char *const names[] = {
                "OK",
                "CANCELLED",
                "UNKNOWN",
                "INVALID_ARGUMENT",
                "DEADLINE_EXCEEDED",
                "NOT_FOUND",
                "ALREADY_EXISTS",
                "PERMISSION_DENIED",
                "RESOURCE_EXHAUSTED",
                "FAILED_PRECONDITION",
                "ABORTED",
                "OUT_OF_RANGE",
                "UNIMPLEMENTED",
                "INTERNAL",
                "UNAVAILABLE",
                "DATA_LOSS",
                "UNAUTHENTICATED",
        };

        if ((unsigned)code >= ARRAY_LEN(names))
                return "UNKNOWN";
        return names[code];
}
