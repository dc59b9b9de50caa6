/* redo_log_int.h - records of the redo log as bytes, and in their files. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "tablet/redo_log.h"

enum { REDO_HEAD_BYTES = 32, REDO_MAX_RECORD_BYTES = 1 << 30 };

/* Appends the record, with room for its head in front: to an empty buf. */
void redo_record_encode(struct buf *b, const struct redo_record *rec);
/* Fills in the head. n_before: bytes between the first record that is made durable with this one
 * and this one. */
void redo_record_place(struct buf *b, struct redo_ref ref, uint64_t n_before);
/* Of the bytes behind the head, which are borrowed. False: not a record of ours. */
bool redo_record_decode(const uint8_t *p, size_t n_bytes, struct redo_record *ret);

/* What follows returns an errno, or 0. */

/* ret_b becomes the bytes behind the head. *ret_whole false: there is no whole record here. */
int redo_record_read(int fd, struct redo_ref ref, struct buf *ret_b, bool *ret_whole);
/* Is there a record behind ref that was begun when what is at ref had been made durable? Then the
 * one at ref is not torn but damaged. */
int redo_record_is_followed(int fd, struct redo_ref ref, bool *ret_is_followed);
/* Is the file all zeros? The power went before its first bytes were durable. */
int redo_file_is_blank(int fd, bool *ret_is_blank);
int redo_write_all(int fd, const uint8_t *p, size_t n_bytes, uint64_t at);
/* n_bytes, or as many as there are; -1: errno. */
ssize_t redo_read_all(int fd, uint8_t *p, size_t n_bytes, uint64_t at);
