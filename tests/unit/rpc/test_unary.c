/* Unary calls: there and back, errors with their details, limits, deadlines and cancellation. */
#include "tests/unit/rpc/fixture.h"

START_TEST(echo)
{
        static const struct rpc_method methods[] = { { .path = "/t.T/Echo",
                                                       .on_start = serve_echo } };
        struct fixture fx;
        struct answer a;

        fixture_start(&fx, methods, ARRAY_LEN(methods), NULL);
        for (int i = 0; i < 100; i++) {
                char text[64];

                snprintf(text, sizeof(text), "number %d, and some more than fits inline", i);
                a = call_and_wait(&fx, "/t.T/Echo", text_of(text), in_ms(30000));
                assert_text(&a, text);
                buf_done(&a.body);
        }
        a = call_and_wait(&fx, "/t.T/Echo", text_of(""), INT64_MAX);
        assert_text(&a, "");
        buf_done(&a.body);
        fixture_stop(&fx);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("rpc/unary");
        TCase *t = tcase_create("unary");

        tcase_set_timeout(t, 60);
        tcase_add_test(t, echo);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return run_suite(suite());
}
