/* unit.h - what every unit test's main does. */
#pragma once

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* "FOLDER/name-XXXXXX" for mkdtemp() or mkstemp(), in the folder for temporary files. tests/run
 * removes its own whatever becomes of the test. */
static inline void unit_temp_template(char *ret_path, size_t n_bytes, const char *name)
{
        const char *folder = getenv("TMPDIR");
        int n =
            snprintf(ret_path, n_bytes, "%s/%s-XXXXXX", folder && *folder ? folder : "/tmp", name);

        ck_assert_msg(n > 0 && (size_t)n < n_bytes, "TMPDIR is too long");
}

/* May the test take minutes (SHOAL_TEST_LONG, tests/run --long)? */
static inline bool unit_is_long(void)
{
        const char *s = getenv("SHOAL_TEST_LONG");

        return s && *s;
}

/* Runs the suite; returns main's result. */
static inline int unit_run(Suite *s)
{
        SRunner *r = srunner_create(s);
        int n_failed;

        srunner_run_all(r, CK_ENV);
        n_failed = srunner_ntests_failed(r);
        srunner_free(r);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
