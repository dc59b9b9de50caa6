/* literal.h - what the text of a literal stands for. Pure functions; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/value.h"

/* A number as SQLite's lexer takes it (no sign), to the value that SQLite makes of it, to the last
 * bit. False: an integer beyond 64 bits, more than 18 digits, an exponent beyond 27, hexadecimal
 * digits: then ask SQLite. */
bool sql_literal_number(const char *s, size_t n_bytes, struct value *ret_value) must_check_;

/* The digits of a blob literal, an even number of them, to n_bytes / 2 bytes. */
void sql_literal_blob(const char *digits, size_t n_bytes, uint8_t *ret_bytes);
