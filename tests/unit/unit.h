/* unit.h - what every unit test's main does. */
#pragma once

#include <check.h>
#include <stdlib.h>

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
