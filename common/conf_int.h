/* conf_int.h - what reading settings and describing them share. */
#pragma once

#include "common/conf.h"

/* "SHOAL_LISTEN_ADDRESS" for "listen-address". */
void conf_env_name(const char *name, char *ret_env, size_t n_bytes);
/* 65536 as "64KiB", 5000 as "5s". */
void conf_format_number(enum conf_type type, uint64_t n, char *ret_text, size_t n_bytes);
