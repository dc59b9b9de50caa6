/* sqlite_err.c - the one table from SQLite's result codes to ours. */
#include "common/sqlite_err.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"

#define NAME(c)       \
        {             \
                c, #c \
        }
/* clang-format off */
static const struct {
        int code;
        const char *name;
} names[] = {
        NAME(SQLITE_ERROR),
        NAME(SQLITE_INTERNAL),
        NAME(SQLITE_PERM),
        NAME(SQLITE_ABORT),
        NAME(SQLITE_BUSY),
        NAME(SQLITE_LOCKED),
        NAME(SQLITE_NOMEM),
        NAME(SQLITE_READONLY),
        NAME(SQLITE_INTERRUPT),
        NAME(SQLITE_IOERR),
        NAME(SQLITE_CORRUPT),
        NAME(SQLITE_NOTFOUND),
        NAME(SQLITE_FULL),
        NAME(SQLITE_CANTOPEN),
        NAME(SQLITE_PROTOCOL),
        NAME(SQLITE_EMPTY),
        NAME(SQLITE_SCHEMA),
        NAME(SQLITE_TOOBIG),
        NAME(SQLITE_CONSTRAINT),
        NAME(SQLITE_MISMATCH),
        NAME(SQLITE_MISUSE),
        NAME(SQLITE_NOLFS),
        NAME(SQLITE_AUTH),
        NAME(SQLITE_FORMAT),
        NAME(SQLITE_RANGE),
        NAME(SQLITE_NOTADB),
        NAME(SQLITE_NOTICE),
        NAME(SQLITE_WARNING),
        NAME(SQLITE_ROW),
        NAME(SQLITE_DONE),
        NAME(SQLITE_ERROR_MISSING_COLLSEQ),
        NAME(SQLITE_ERROR_RETRY),
        NAME(SQLITE_ERROR_SNAPSHOT),
        NAME(SQLITE_IOERR_READ),
        NAME(SQLITE_IOERR_SHORT_READ),
        NAME(SQLITE_IOERR_WRITE),
        NAME(SQLITE_IOERR_FSYNC),
        NAME(SQLITE_IOERR_DIR_FSYNC),
        NAME(SQLITE_IOERR_TRUNCATE),
        NAME(SQLITE_IOERR_FSTAT),
        NAME(SQLITE_IOERR_UNLOCK),
        NAME(SQLITE_IOERR_RDLOCK),
        NAME(SQLITE_IOERR_DELETE),
        NAME(SQLITE_IOERR_BLOCKED),
        NAME(SQLITE_IOERR_NOMEM),
        NAME(SQLITE_IOERR_ACCESS),
        NAME(SQLITE_IOERR_CHECKRESERVEDLOCK),
        NAME(SQLITE_IOERR_LOCK),
        NAME(SQLITE_IOERR_CLOSE),
        NAME(SQLITE_IOERR_DIR_CLOSE),
        NAME(SQLITE_IOERR_SHMOPEN),
        NAME(SQLITE_IOERR_SHMSIZE),
        NAME(SQLITE_IOERR_SHMLOCK),
        NAME(SQLITE_IOERR_SHMMAP),
        NAME(SQLITE_IOERR_SEEK),
        NAME(SQLITE_IOERR_DELETE_NOENT),
        NAME(SQLITE_IOERR_MMAP),
        NAME(SQLITE_IOERR_GETTEMPPATH),
        NAME(SQLITE_IOERR_CONVPATH),
        NAME(SQLITE_IOERR_VNODE),
        NAME(SQLITE_IOERR_AUTH),
        NAME(SQLITE_IOERR_BEGIN_ATOMIC),
        NAME(SQLITE_IOERR_COMMIT_ATOMIC),
        NAME(SQLITE_IOERR_ROLLBACK_ATOMIC),
        NAME(SQLITE_IOERR_DATA),
        NAME(SQLITE_IOERR_CORRUPTFS),
        NAME(SQLITE_LOCKED_SHAREDCACHE),
        NAME(SQLITE_LOCKED_VTAB),
        NAME(SQLITE_BUSY_RECOVERY),
        NAME(SQLITE_BUSY_SNAPSHOT),
        NAME(SQLITE_BUSY_TIMEOUT),
        NAME(SQLITE_CANTOPEN_NOTEMPDIR),
        NAME(SQLITE_CANTOPEN_ISDIR),
        NAME(SQLITE_CANTOPEN_FULLPATH),
        NAME(SQLITE_CANTOPEN_CONVPATH),
        NAME(SQLITE_CANTOPEN_DIRTYWAL),
        NAME(SQLITE_CANTOPEN_SYMLINK),
        NAME(SQLITE_CORRUPT_VTAB),
        NAME(SQLITE_CORRUPT_SEQUENCE),
        NAME(SQLITE_CORRUPT_INDEX),
        NAME(SQLITE_READONLY_RECOVERY),
        NAME(SQLITE_READONLY_CANTLOCK),
        NAME(SQLITE_READONLY_ROLLBACK),
        NAME(SQLITE_READONLY_DBMOVED),
        NAME(SQLITE_READONLY_CANTINIT),
        NAME(SQLITE_READONLY_DIRECTORY),
        NAME(SQLITE_ABORT_ROLLBACK),
        NAME(SQLITE_CONSTRAINT_CHECK),
        NAME(SQLITE_CONSTRAINT_COMMITHOOK),
        NAME(SQLITE_CONSTRAINT_FOREIGNKEY),
        NAME(SQLITE_CONSTRAINT_FUNCTION),
        NAME(SQLITE_CONSTRAINT_NOTNULL),
        NAME(SQLITE_CONSTRAINT_PRIMARYKEY),
        NAME(SQLITE_CONSTRAINT_TRIGGER),
        NAME(SQLITE_CONSTRAINT_UNIQUE),
        NAME(SQLITE_CONSTRAINT_VTAB),
        NAME(SQLITE_CONSTRAINT_ROWID),
        NAME(SQLITE_CONSTRAINT_PINNED),
        NAME(SQLITE_CONSTRAINT_DATATYPE),
        NAME(SQLITE_NOTICE_RECOVER_WAL),
        NAME(SQLITE_NOTICE_RECOVER_ROLLBACK),
        NAME(SQLITE_WARNING_AUTOINDEX),
        NAME(SQLITE_AUTH_USER),
};

/* By primary code. reason NULL: the name of the extended code. SQLITE_ERROR is told apart by its message below. */
static const struct {
        enum err_code code;
        const char *reason;
} primary_codes[] = {
        [SQLITE_ERROR]      = { ERR_INVALID, NULL },
        [SQLITE_INTERNAL]   = { ERR_INTERNAL, NULL },
        [SQLITE_PERM]       = { ERR_UNAVAILABLE, NULL },
        [SQLITE_ABORT]      = { ERR_ABORTED, NULL },
        [SQLITE_BUSY]       = { ERR_UNAVAILABLE, NULL },
        [SQLITE_LOCKED]     = { ERR_UNAVAILABLE, NULL },
        [SQLITE_NOMEM]      = { ERR_EXHAUSTED, NULL },
        [SQLITE_READONLY]   = { ERR_PRECONDITION, NULL },
        [SQLITE_INTERRUPT]  = { ERR_CANCELLED, NULL },
        [SQLITE_IOERR]      = { ERR_UNAVAILABLE, "DISK_IO_ERROR" },
        [SQLITE_CORRUPT]    = { ERR_DATA_LOSS, NULL },
        [SQLITE_NOTFOUND]   = { ERR_INTERNAL, NULL },
        [SQLITE_FULL]       = { ERR_EXHAUSTED, "DISK_FULL" },
        [SQLITE_CANTOPEN]   = { ERR_UNAVAILABLE, NULL },
        [SQLITE_PROTOCOL]   = { ERR_UNAVAILABLE, NULL },
        [SQLITE_EMPTY]      = { ERR_INTERNAL, NULL },
        [SQLITE_SCHEMA]     = { ERR_ABORTED, NULL },
        [SQLITE_TOOBIG]     = { ERR_EXHAUSTED, NULL },
        [SQLITE_CONSTRAINT] = { ERR_PRECONDITION, NULL },
        [SQLITE_MISMATCH]   = { ERR_PRECONDITION, NULL },
        [SQLITE_MISUSE]     = { ERR_INTERNAL, NULL },
        [SQLITE_NOLFS]      = { ERR_UNAVAILABLE, NULL },
        [SQLITE_AUTH]       = { ERR_DENIED, NULL },
        [SQLITE_FORMAT]     = { ERR_INTERNAL, NULL },
        [SQLITE_RANGE]      = { ERR_INVALID, NULL },
        [SQLITE_NOTADB]     = { ERR_DATA_LOSS, NULL },
};

/* What a message of plain SQLITE_ERROR says (3.40): its beginning and its end, of which either may be empty. First match wins. */
static const struct {
        const char *begin, *end;
        enum err_code code;
        const char *reason;
} messages[] = {
        { "no such table: ", "",              ERR_NOT_FOUND, "NO_SUCH_TABLE" },
        { "no such view: ", "",               ERR_NOT_FOUND, "NO_SUCH_VIEW" },
        { "no such index: ", "",              ERR_NOT_FOUND, "NO_SUCH_INDEX" },
        { "no such trigger: ", "",            ERR_NOT_FOUND, "NO_SUCH_TRIGGER" },
        { "", " already exists",              ERR_EXISTS, "ALREADY_EXISTS" },
        { "there is already ", "",            ERR_EXISTS, "ALREADY_EXISTS" },
        { "", ": syntax error",               ERR_INVALID, "SYNTAX_ERROR" },
        { "incomplete input", "",             ERR_INVALID, "SYNTAX_ERROR" },
        { "unrecognized token: ", "",         ERR_INVALID, "SYNTAX_ERROR" },
        { "not authorized", "",               ERR_DENIED, "NOT_ALLOWED" },
        { "cannot start a transaction ", "",  ERR_PRECONDITION, NULL },
        { "cannot commit", "",                ERR_PRECONDITION, NULL },
        { "cannot rollback", "",              ERR_PRECONDITION, NULL },
        { "no such savepoint: ", "",          ERR_PRECONDITION, NULL },
};
/* clang-format on */

const char *sqlite_err_name(int extended_code)
{
        const char *primary = "SQLITE_UNKNOWN";

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                if (names[i].code == extended_code)
                        return names[i].name;
                if (names[i].code == (extended_code & 0xff))
                        primary = names[i].name;
        }
        return primary;
}

static bool message_is(const char *msg, const char *begin, const char *end)
{
        size_t n = strlen(msg), n_end = strlen(end);

        return strncmp(msg, begin, strlen(begin)) == 0 && n >= n_end &&
               strcmp(msg + n - n_end, end) == 0;
}

static enum err_code translate(int extended_code, const char *msg, const char **ret_reason)
{
        unsigned primary = (unsigned)extended_code & 0xff;

        *ret_reason = NULL;
        if (primary == SQLITE_ERROR) {
                for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
                        if (message_is(msg, messages[i].begin, messages[i].end)) {
                                *ret_reason = messages[i].reason;
                                return messages[i].code;
                        }
                }
        }
        if (extended_code == SQLITE_IOERR_NOMEM)
                return ERR_EXHAUSTED;
        if (primary >= ARRAY_LEN(primary_codes) || !primary_codes[primary].code)
                return ERR_INTERNAL;
        *ret_reason = primary_codes[primary].reason;
        return primary_codes[primary].code;
}

enum err_code sqlite_err_set(struct err *e, struct sqlite3 *db, int rc)
{
        const char *msg = sqlite3_errstr(rc), *reason;
        int extended_code = rc, offset = -1;
        enum err_code code;

        /* After a call that leaves no trace on the connection (a misuse, a failed open) db speaks
         * of another error. */
        if (db && (sqlite3_errcode(db) & 0xff) == (rc & 0xff)) {
                extended_code = sqlite3_extended_errcode(db);
                msg = sqlite3_errmsg(db);
                offset = sqlite3_error_offset(db);
        }
        code = translate(extended_code, msg, &reason);
        err_set(e, code, reason ? reason : sqlite_err_name(extended_code), "%s", msg);
        if (e) {
                e->extended_code = extended_code;
                e->offset = offset;
                snprintf(e->sqlite_msg, sizeof e->sqlite_msg, "%s", msg);
                utf8_repair(e->sqlite_msg);
        }
        return code;
}
