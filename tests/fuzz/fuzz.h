/* fuzz.h - the function that every harness has. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Returns 0; whatever is wrong ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);
