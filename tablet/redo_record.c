/* redo_record.c - records of the redo log as bytes: a head of fixed size and the record as fields
 * (common/wire.h). The checksums cover the record's place, so that what an older file left on the
 * same blocks is never taken for it. Any thread. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/wire.h"
#include "tablet/redo_log_int.h"

enum {
        FIELD_KIND = 1,
        FIELD_KEYSPACE = 2,
        FIELD_SHARD = 3,
        FIELD_TS = 4,
        FIELD_EPOCH = 5,
        FIELD_START = 6,
        FIELD_COUNTER = 7,
        FIELD_AGE = 8,
        FIELD_SCHEMA_VERSION = 9,
        FIELD_PARTICIPANTS = 10,
        FIELD_CHANGES = 11,
};

void redo_record_encode(struct buf *b, const struct redo_record *rec)
{
        static const uint8_t head[REDO_HEAD_BYTES];

        buf_add(b, head, REDO_HEAD_BYTES); /* filled in once its place is known */
        wire_add_uint(b, FIELD_KIND, rec->kind);
        wire_add_uint(b, FIELD_KEYSPACE, rec->keyspace_id);
        wire_add_bytes(b, FIELD_SHARD, rec->shard.data, rec->shard.n_bytes);
        wire_add_uint(b, FIELD_TS, rec->ts);
        wire_add_uint_nz(b, FIELD_EPOCH, rec->id.epoch);
        wire_add_uint_nz(b, FIELD_START, rec->id.start);
        wire_add_uint_nz(b, FIELD_COUNTER, rec->id.counter);
        wire_add_uint_nz(b, FIELD_AGE, rec->age);
        wire_add_uint_nz(b, FIELD_SCHEMA_VERSION, rec->schema_version);
        if (rec->participants.n_bytes)
                wire_add_bytes(b, FIELD_PARTICIPANTS, rec->participants.data,
                               rec->participants.n_bytes);
        if (rec->changes.n_bytes)
                wire_add_bytes(b, FIELD_CHANGES, rec->changes.data, rec->changes.n_bytes);
}

static void set_number(struct redo_record *rec, const struct wire_field *x)
{
        uint64_t *const fields[] = {
                [FIELD_KEYSPACE] = &rec->keyspace_id,
                [FIELD_TS] = &rec->ts,
                [FIELD_EPOCH] = &rec->id.epoch,
                [FIELD_START] = &rec->id.start,
                [FIELD_COUNTER] = &rec->id.counter,
                [FIELD_AGE] = &rec->age,
                [FIELD_SCHEMA_VERSION] = &rec->schema_version,
        };

        if (x->number == FIELD_KIND)
                rec->kind = (enum redo_kind)x->uint;
        else if (x->number < ARRAY_LEN(fields) && fields[x->number])
                *fields[x->number] = x->uint;
}

bool redo_record_decode(const uint8_t *p, size_t n_bytes, struct redo_record *ret)
{
        struct wire_reader r = wire_reader(p, n_bytes);
        struct wire_field x;

        *ret = (struct redo_record){ 0 };
        while (wire_next(&r, &x)) {
                struct bytes bytes = { x.data, x.n_bytes };

                if (x.type == WIRE_VARINT)
                        set_number(ret, &x);
                else if (x.type == WIRE_BYTES && x.number == FIELD_SHARD)
                        ret->shard = bytes;
                else if (x.type == WIRE_BYTES && x.number == FIELD_PARTICIPANTS)
                        ret->participants = bytes;
                else if (x.type == WIRE_BYTES && x.number == FIELD_CHANGES)
                        ret->changes = bytes;
        }
        return !r.failed && (ret->kind == REDO_PREPARED || ret->kind == REDO_FLOOR) &&
               ret->shard.n_bytes;
}

/* What a record begins with. Processes on machines of another byte order do not share files. */
struct head {
        uint64_t n_bytes;  /* of its fields */
        uint64_t n_before; /* bytes since the first record that was made durable with it */
        uint64_t sum;      /* of the fields */
        uint64_t head_sum; /* of the three above */
};
_Static_assert(sizeof(struct head) == REDO_HEAD_BYTES, "a head has no gaps");

static uint64_t checksum(struct redo_ref ref, const void *p, size_t n_bytes)
{
        return XXH3_64bits_withSeed(p, n_bytes,
                                    ref.segment * UINT64_C(0x9e3779b97f4a7c15) + ref.at);
}

void redo_record_place(struct buf *b, struct redo_ref ref, uint64_t n_before)
{
        struct head h = { .n_bytes = b->n_bytes - REDO_HEAD_BYTES, .n_before = n_before };

        h.sum = checksum(ref, b->data + REDO_HEAD_BYTES, h.n_bytes);
        h.head_sum = checksum(ref, &h, offsetof(struct head, head_sum));
        memcpy(b->data, &h, sizeof h);
}

/* Is it the head of a record at this place? */
static bool take_head(const void *p, struct redo_ref ref, struct head *ret_head)
{
        memcpy(ret_head, p, sizeof *ret_head);
        return ret_head->n_bytes && ret_head->n_bytes <= REDO_MAX_RECORD_BYTES &&
               ret_head->head_sum == checksum(ref, ret_head, offsetof(struct head, head_sum));
}

/* ---- files */

int redo_write_all(int fd, const uint8_t *p, size_t n_bytes, uint64_t at)
{
        while (n_bytes) {
                ssize_t n = pwrite(fd, p, n_bytes, (off_t)at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? errno : EIO;
                p += n;
                at += (uint64_t)n;
                n_bytes -= (size_t)n;
        }
        return 0;
}

ssize_t redo_read_all(int fd, uint8_t *p, size_t n_bytes, uint64_t at)
{
        size_t n_read = 0;

        while (n_read < n_bytes) {
                ssize_t n = pread(fd, p + n_read, n_bytes - n_read, (off_t)(at + n_read));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -1;
                if (n == 0)
                        break;
                n_read += (size_t)n;
        }
        return (ssize_t)n_read;
}

int redo_record_read(int fd, struct redo_ref ref, struct buf *ret_b, bool *ret_whole)
{
        uint8_t bytes[REDO_HEAD_BYTES];
        struct head head;
        struct stat st;
        ssize_t n;

        *ret_whole = false;
        ret_b->n_bytes = 0;
        n = redo_read_all(fd, bytes, REDO_HEAD_BYTES, ref.at);
        if (n != REDO_HEAD_BYTES)
                return n < 0 ? errno : 0;
        if (fstat(fd, &st) != 0)
                return errno;
        if (!take_head(bytes, ref, &head) ||
            head.n_bytes > (uint64_t)st.st_size - ref.at - REDO_HEAD_BYTES)
                return 0;
        if (!buf_reserve(ret_b, (size_t)head.n_bytes))
                return ENOMEM;
        n = redo_read_all(fd, ret_b->data, (size_t)head.n_bytes, ref.at + REDO_HEAD_BYTES);
        if (n < 0)
                return errno;
        ret_b->n_bytes = (size_t)n;
        *ret_whole = (uint64_t)n == head.n_bytes &&
                     checksum(ref, ret_b->data, (size_t)head.n_bytes) == head.sum;
        return 0;
}

int redo_record_is_followed(int fd, struct redo_ref ref, bool *ret_is_followed)
{
        enum { CHUNK_BYTES = 1 << 16 };
        uint8_t bytes[CHUNK_BYTES + REDO_HEAD_BYTES];
        struct redo_ref at = ref;
        struct head head;
        ssize_t n;

        *ret_is_followed = false;
        while (!*ret_is_followed) {
                n = redo_read_all(fd, bytes, sizeof bytes, at.at);
                if (n < REDO_HEAD_BYTES)
                        return n < 0 ? errno : 0;
                for (ssize_t i = 0; i <= n - REDO_HEAD_BYTES && i < CHUNK_BYTES; i++, at.at++)
                        if (take_head(bytes + i, at, &head) && at.at - ref.at > head.n_before)
                                *ret_is_followed = true;
        }
        return 0;
}

int redo_file_is_blank(int fd, bool *ret_is_blank)
{
        uint8_t bytes[1 << 12];
        uint64_t at = 0;
        ssize_t n;

        *ret_is_blank = true;
        while ((n = redo_read_all(fd, bytes, sizeof bytes, at)) > 0) {
                for (ssize_t i = 0; i < n; i++)
                        if (bytes[i])
                                *ret_is_blank = false;
                at += (uint64_t)n;
        }
        return n < 0 ? errno : 0;
}
