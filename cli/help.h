/* help.h - what --help says. */
#pragma once

#include <stdio.h>

/* topic: NULL, or a noun of admin.h, "sql" or "shell". */
void help_print(FILE *out, const char *topic);
