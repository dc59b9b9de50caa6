/* test_http.c - the second port as a client sees it, well-behaved or not. */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/http.h"
#include "common/metrics.h"
#include "tests/unit/unit.h"

/* Guarded by being set before the request that reads it is sent. */
static _Atomic bool is_ready;

static bool ready(void *arg, const char **ret_why)
{
        *ret_why = "no topology yet";
        return is_ready;
}

static struct http *start(void)
{
        struct http *h = NULL;
        struct err e = ERR_INIT;

        ck_assert_msg(http_start("127.0.0.1:0", ready, NULL, &h, &e) == ERR_OK, "%s", e.msg);
        return h;
}

static int connect_to(const struct http *h)
{
        const char *colon = strrchr(http_address(h), ':');
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct timeval patience = { .tv_sec = 8 };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        a.sin_port = htons((uint16_t)atoi(colon + 1));
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
        return fd;
}

/* What comes back until the server closes; in static storage. */
static const char *exchange(const struct http *h, const char *request)
{
        static char reply[1 << 16];
        int fd = connect_to(h);
        size_t n = 0;
        ssize_t got;

        ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL),
                         (ssize_t)strlen(request));
        while (n < sizeof reply - 1 && (got = recv(fd, reply + n, sizeof reply - 1 - n, 0)) > 0)
                n += (size_t)got;
        reply[n] = '\0';
        close(fd);
        return reply;
}

static const struct {
        const char *method, *path;
        bool ready;
        const char *status, *body; /* body: how it ends */
} cases[] = {
        { "GET", "/healthz", false, "HTTP/1.1 200 OK\r\n", "\r\n\r\nok\n" },
        { "HEAD", "/healthz", false, "HTTP/1.1 200 OK\r\n", "\r\n\r\n" },
        { "GET", "/readyz", true, "HTTP/1.1 200 OK\r\n", "\r\n\r\nready\n" },
        { "GET", "/readyz", false, "HTTP/1.1 503 ", "\r\n\r\nnot ready: no topology yet\n" },
        { "HEAD", "/readyz", false, "HTTP/1.1 503 ", "\r\n\r\n" },
        { "GET", "/metrics", false, "HTTP/1.1 200 OK\r\n", "shoal_metrics_dropped_series 0\n" },
        { "GET", "/", false, "HTTP/1.1 404 ", "\n" },
        { "GET", "/metrics/", false, "HTTP/1.1 404 ", "\n" },
        { "GET", "/metrics?x=1", false, "HTTP/1.1 200 OK\r\n", "\n" },
        { "GET", "/../../etc/passwd", false, "HTTP/1.1 404 ", "\n" },
        { "POST", "/metrics", false, "HTTP/1.1 405 ", "only GET and HEAD\n" },
        { "DELETE", "/", false, "HTTP/1.1 405 ", "only GET and HEAD\n" },
        { "BREW", "/", false, "HTTP/1.1 405 ", "only GET and HEAD\n" },
};

START_TEST(http_case)
{
        struct http *h = start();
        char request[200];
        const char *reply, *end = cases[_i].body;

        is_ready = cases[_i].ready;
        snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                 cases[_i].method, cases[_i].path);
        reply = exchange(h, request);
        ck_assert_msg(strncmp(reply, cases[_i].status, strlen(cases[_i].status)) == 0, "%s%s",
                      request, reply);
        ck_assert_msg(strlen(reply) >= strlen(end) &&
                          strcmp(reply + strlen(reply) - strlen(end), end) == 0,
                      "%s%s", request, reply);
        http_stop(h);
}
END_TEST

START_TEST(metrics_have_their_type)
{
        struct http *h = start();
        const char *reply;

        metric_add(metric_counter("shoal_test_http_total", "", "Calls."), 3);
        reply = exchange(h, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        ck_assert_msg(strstr(reply, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
                      "%s", reply);
        ck_assert_msg(strstr(reply, "\nshoal_test_http_total 3\n"), "%s", reply);
        http_stop(h);
}
END_TEST

/* A body that is announced and never sent holds nobody up. */
START_TEST(body_is_not_waited_for)
{
        struct http *h = start();
        const char *reply =
            exchange(h, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");

        ck_assert_msg(strncmp(reply, "HTTP/1.1 405 ", 13) == 0, "%s", reply);
        http_stop(h);
}
END_TEST

START_TEST(headers_are_limited)
{
        struct http *h = start();
        static char request[64 * 1024];
        const char *reply;

        strcpy(request, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: ");
        memset(request + strlen(request), 'x', sizeof request - strlen(request) - 1);
        reply = exchange(h, request);
        ck_assert_msg(*reply == '\0' || strncmp(reply, "HTTP/1.1 431 ", 13) == 0, "%s", reply);
        reply = exchange(h, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        ck_assert_msg(strstr(reply, "\r\n\r\nok\n"), "%s", reply);
        http_stop(h);
}
END_TEST

/* More clients than there may be, none of which ever ends its request: the next one is served all
 * the same. */
START_TEST(slow_clients_harm_nobody)
{
        enum { N = 150 };
        struct http *h = start();
        const char *reply;
        int fds[N];

        for (int i = 0; i < N; i++) {
                fds[i] = connect_to(h);
                (void)!send(fds[i], "GET /met", 8, MSG_NOSIGNAL);
        }
        for (int i = 0; i < 3; i++) {
                reply =
                    exchange(h, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
                ck_assert_msg(strstr(reply, "\r\n\r\nok\n"), "%s", reply);
        }
        for (int i = 0; i < N; i++)
                close(fds[i]);
        http_stop(h);
}
END_TEST

START_TEST(stop_does_not_wait_for_clients)
{
        struct http *h = start();
        int fd = connect_to(h);

        ck_assert_int_eq(send(fd, "GET", 3, MSG_NOSIGNAL), 3);
        ck_assert_ptr_null(http_stop(h));
        ck_assert_ptr_null(http_stop(NULL));
        close(fd);
}
END_TEST

static const struct {
        const char *address;
        enum err_code want;
} addresses[] = {
        { "127.0.0.1:0", ERR_OK },
        { "localhost:0", ERR_OK },
        { "", ERR_INVALID },
        { "127.0.0.1", ERR_INVALID },
        { "127.0.0.1:", ERR_INVALID },
        { ":9090", ERR_INVALID },
        { "[::1:0", ERR_INVALID },
        { "[]:0", ERR_INVALID },
        { "127.0.0.1:nonsense", ERR_UNAVAILABLE },
        { "192.0.2.1:0", ERR_UNAVAILABLE }, /* reserved for documentation: no host has it */
};

START_TEST(address_case)
{
        struct http *h = NULL;
        struct err e = ERR_INIT;

        ck_assert_msg(http_start(addresses[_i].address, NULL, NULL, &h, &e) == addresses[_i].want,
                      "\"%s\": %s", addresses[_i].address, e.msg);
        ck_assert((h != NULL) == (addresses[_i].want == ERR_OK));
        http_stop(h);
}
END_TEST

START_TEST(port_is_taken)
{
        struct http *h = start(), *second = NULL;
        struct err e = ERR_INIT;

        ck_assert_int_eq(http_start(http_address(h), NULL, NULL, &second, &e), ERR_UNAVAILABLE);
        ck_assert_ptr_null(second);
        ck_assert_str_eq(e.reason, "ADDRESS_UNAVAILABLE");
        ck_assert_msg(strstr(e.msg, "Address already in use"), "%s", e.msg);
        http_stop(h);
}
END_TEST

static Suite *http_suite(void)
{
        Suite *s = suite_create("http");
        TCase *t = tcase_create("http");

        tcase_set_timeout(t, 30);
        tcase_add_loop_test(t, http_case, 0, ARRAY_LEN(cases));
        tcase_add_test(t, metrics_have_their_type);
        tcase_add_test(t, body_is_not_waited_for);
        tcase_add_test(t, headers_are_limited);
        tcase_add_test(t, slow_clients_harm_nobody);
        tcase_add_test(t, stop_does_not_wait_for_clients);
        tcase_add_loop_test(t, address_case, 0, ARRAY_LEN(addresses));
        tcase_add_test(t, port_is_taken);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(http_suite());
}
