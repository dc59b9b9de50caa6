/* frame_int.h - what the files that decode frames share. */
#pragma once

#include "common/wire.h"
#include "tablet/frame.h"

/* ERR_INVALID (BAD_REQUEST): malformed. */
enum err_code frame_refuse(struct err *reterr);
enum err_code frame_add_shard(struct frame *f, struct frame_scratch *scratch,
                              const struct wire_field *field, struct err *reterr) must_check_;

/* ---- frame_txn.c */
enum err_code frame_decode_participation(struct frame *f, struct frame_scratch *scratch,
                                         const struct wire_field *field,
                                         struct err *reterr) must_check_;
/* The body of one of FRAME_SAVEPOINT … FRAME_FIND; f->body is set. */
enum err_code frame_decode_txn(struct frame *f, struct frame_scratch *scratch,
                               const struct wire_field *body, struct err *reterr) must_check_;
enum err_code frame_check_txn(const struct frame *f, struct err *reterr) must_check_;
