/* import.h - .import FILE TABLE: a CSV file into a table. */
#pragma once

#include "cli/shell.h"
#include "common/err.h"

struct import {
        const char *file;
        const char *table;
        unsigned long n_skip; /* records at the start that are passed over */
};

/* A table that is not there is created, its columns TEXT and named by the first record. Records
 * with too few fields are filled up with NULL, surplus fields are left out, each with a message;
 * rows that fail are reported and the others go on. */
enum err_code import_run(struct shell *sh, const struct import *i, struct err *reterr) must_check_;
