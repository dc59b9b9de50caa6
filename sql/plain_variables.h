/* plain_variables.h - SQLite takes time with the square of the number of ?N in a statement, and not
 * of plain ?. Any thread. */
#pragma once

/* Writes ? and blanks over each ?N that SQLite would number N without being told, so that offsets
 * stay as they are. From the first named variable on nothing is changed. Ends in a NUL. */
void sql_plain_variables(char *text);
