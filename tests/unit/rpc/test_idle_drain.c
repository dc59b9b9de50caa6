/* Draining while a connection is open on which nothing happens. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/rpc/fixture.h"

enum { HOUR_MS = 3600 * 1000 };

/* A client that has said hello in HTTP/2 and then neither reads nor writes. */
static int connect_deaf_client(int port)
{
        static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
        struct sockaddr_in to = { .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
        ck_assert_int_eq(write(fd, hello, sizeof(hello) - 1), sizeof(hello) - 1);
        return fd;
}

START_TEST(idle_connections_do_not_hold_it)
{
        static const struct rpc_method methods[] = { { .path = "/t.T/Echo",
                                                       .on_start = serve_echo } };
        struct fixture fx;
        struct answer a;
        int fd;

        fixture_start(&fx, methods, ARRAY_LEN(methods), NULL);
        fd = connect_deaf_client(rpc_server_port(fx.server));
        /* By the time of the answer the server has accepted the one before too. */
        a = call_and_wait(&fx, "/t.T/Echo", text_of("x"), INT64_MAX);
        assert_text(&a, "x");
        buf_done(&a.body);
        fixture_drain(&fx, HOUR_MS);
        close(fd);
        fixture_stop(&fx);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("rpc/idle_drain");
        TCase *t = tcase_create("idle_drain");

        tcase_set_timeout(t, 60);
        tcase_add_test(t, idle_connections_do_not_hold_it);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return run_suite(suite());
}
