/* A server from start to drain, and what a client sees of servers that come, go and fall silent. */
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/rpc/fixture.h"

extern char **environ;

/* ---- servers */

static struct seen {
        bool is_here;
        bool was_cancelled;
        bool was_drained;
        struct rpc_call *call;
} seen;

static void held_cancelled(struct rpc_call *c)
{
        seen.was_cancelled = true;
        fail_with(c, ERR_CANCELLED, "CANCELLED", "nobody is there any more");
}

static void serve_hold(struct rpc_call *c, void *arg)
{
        (void)arg;
        seen.is_here = true;
        seen.call = c;
        rpc_call_on_cancel(c, held_cancelled);
}

static void end_on_drain(struct rpc_call *c, void *arg)
{
        ck_assert_ptr_eq(arg, &seen);
        seen.was_drained = true;
        rpc_call_end(c);
}

static const struct rpc_method methods[] = {
        { .path = "/t.T/Echo", .on_start = serve_echo },
        { .path = "/t.T/Hold", .on_start = serve_hold },
        { .path = "/t.T/Polite", .on_start = serve_hold, .arg = &seen, .on_drain = end_on_drain },
};

static struct fixture fx;

static void setup(void)
{
        seen = (struct seen){ 0 };
        fixture_start(&fx, methods, ARRAY_LEN(methods), NULL);
}

static void teardown(void)
{
        fixture_stop(&fx);
}

static void assert_echo(const char *text)
{
        struct answer a = call_and_wait(&fx, "/t.T/Echo", text_of(text), in_ms(60000));

        assert_text(&a, text);
        buf_done(&a.body);
}

/* ---- start */

START_TEST(port_taken)
{
        struct rpc_server_options o = {
                .address = fx.address,
                .methods = methods,
                .n_methods = ARRAY_LEN(methods),
        };
        struct rpc_server *s = NULL;
        struct err e = ERR_INIT;

        ck_assert_int_eq(rpc_server_start(fx.loop, &o, &s, &e), ERR_UNAVAILABLE);
        ck_assert_ptr_null(s);
        ck_assert_str_eq(e.reason, "ADDRESS_UNAVAILABLE");
        ck_assert_ptr_nonnull(strstr(e.msg, fx.address));
        o.address = "192.0.2.1:1";
        ck_assert_int_eq(rpc_server_start(fx.loop, &o, &s, &e), ERR_UNAVAILABLE);
        assert_echo("the first one is not disturbed");
}
END_TEST

START_TEST(method_twice)
{
        const struct rpc_method twice[] = { methods[0], methods[0] };
        struct rpc_server_options o = { .address = "127.0.0.1:0",
                                        .methods = twice,
                                        .n_methods = 2 };
        struct rpc_server *s = NULL;
        struct err e = ERR_INIT;

        ck_assert_int_eq(rpc_server_start(fx.loop, &o, &s, &e), ERR_INTERNAL);
        ck_assert_ptr_nonnull(strstr(e.msg, "/t.T/Echo"));
}
END_TEST

START_TEST(unix_socket)
{
        char dir[80], address[90];
        struct rpc_server_options o = { .address = address, .methods = methods, .n_methods = 1 };
        struct rpc_server *s = NULL;
        struct rpc_channel *ch;
        struct answer a = { 0 };
        struct err e = ERR_INIT;
        bool drained = false;

        unit_temp_template(dir, sizeof(dir), "shoal-rpc");
        ck_assert_ptr_nonnull(mkdtemp(dir));
        snprintf(address, sizeof(address), "unix:%s/s", dir);
        ck_assert_msg(!rpc_server_start(fx.loop, &o, &s, &e), "%s", e.msg);
        ch = rpc_channel_new(fx.loop, &(struct rpc_channel_options){ .address = address });
        rpc_unary(ch, "/t.T/Echo", text_of("hello"), INT64_MAX, note_answer, &a);
        loop_run_until(fx.loop, &a.is_done);
        assert_text(&a, "hello");
        buf_done(&a.body);
        rpc_channel_free(ch);
        rpc_server_drain(s, 1000, note_true, &drained);
        loop_run_until(fx.loop, &drained);
        rpc_server_free(s);
        unlink(address + strlen("unix:"));
        ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

/* It must not be asked: nobody wants the path between gate and tablet to go through a proxy. */
START_TEST(http_proxy)
{
        setenv("http_proxy", "http://127.0.0.1:1", 1);
        setenv("grpc_proxy", "http://127.0.0.1:1", 1);
        rpc_channel_free(fx.channel);
        fx.channel = fixture_channel(&fx);
        assert_echo("straight");
        unsetenv("http_proxy");
        unsetenv("grpc_proxy");
}
END_TEST

/* ---- drain */

START_TEST(drain_idle)
{
        assert_echo("x");
        fixture_drain(&fx, 3600 * 1000);
        ck_assert(fx.is_drained);
}
END_TEST

START_TEST(drain_waits)
{
        struct answer a = { 0 }, b;

        rpc_unary(fx.channel, "/t.T/Hold", text_of(""), INT64_MAX, note_answer, &a);
        loop_run_until(fx.loop, &seen.is_here);
        rpc_server_drain(fx.server, 3600 * 1000, note_true, &fx.is_drained);
        /* New calls are refused meanwhile; the old one ends in peace. */
        b = call_and_wait(&fx, "/t.T/Echo", text_of("x"), in_ms(60000));
        ck_assert_int_eq(b.e.code, ERR_UNAVAILABLE);
        ck_assert_msg(!a.is_done, "%s", a.e.msg);
        ck_assert(!fx.is_drained);
        ck_assert(!seen.was_cancelled);
        rpc_call_on_cancel(seen.call, NULL);
        rpc_call_reply(seen.call, text_of("done"));
        loop_run_until(fx.loop, &a.is_done);
        assert_text(&a, "done");
        buf_done(&a.body);
        loop_run_until(fx.loop, &fx.is_drained);
        fx.server = rpc_server_free(fx.server);
}
END_TEST

START_TEST(drain_stuck)
{
        struct answer a = { 0 };

        rpc_unary(fx.channel, "/t.T/Hold", text_of(""), INT64_MAX, note_answer, &a);
        loop_run_until(fx.loop, &seen.is_here);
        fixture_drain(&fx, _i ? 200 : 0);
        ck_assert(seen.was_cancelled);
        loop_run_until(fx.loop, &a.is_done);
        ck_assert_int_eq(a.e.code, ERR_UNAVAILABLE);
}
END_TEST

static void ignore_message(void *arg, const grpc_slice *slice)
{
        (void)arg;
        (void)slice;
}

static void note_end(void *arg, const struct err *e)
{
        note_answer(arg, e, NULL, 0);
}

/* Callers that never stop asking get an answer, or hear that the server is unavailable, and nothing
 * else. */
enum { N_CHANNELS = 4, N_CALLERS = 64 };
static unsigned n_answers, n_answered[ERR_UNAUTHENTICATED + 1], n_content;
static bool all_are_content;

static void ask_again(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        (void)body;
        (void)n_bytes;
        n_answers++;
        n_answered[e->code]++;
        if (fx.is_drained)
                all_are_content = ++n_content == N_CALLERS;
        else
                rpc_unary(arg, "/t.T/Echo", text_of("and now?"), INT64_MAX, ask_again, arg);
        if (n_answers == 5000)
                rpc_server_drain(fx.server, 3600 * 1000, note_true, &fx.is_drained);
}

START_TEST(drain_under_load)
{
        struct rpc_channel *channels[N_CHANNELS];

        n_answers = n_content = 0;
        memset(n_answered, 0, sizeof(n_answered));
        all_are_content = false;
        for (int i = 0; i < N_CHANNELS; i++)
                channels[i] = fixture_channel(&fx);
        for (int i = 0; i < N_CALLERS; i++)
                rpc_unary(channels[i % N_CHANNELS], "/t.T/Echo", text_of("so?"), INT64_MAX,
                          ask_again, channels[i % N_CHANNELS]);
        loop_run_until(fx.loop, &all_are_content);
        fx.server = rpc_server_free(fx.server);
        for (int i = 0; i < N_CHANNELS; i++)
                rpc_channel_free(channels[i]);
        ck_assert_uint_gt(n_answered[ERR_OK], 4000);
        ck_assert_uint_gt(n_answered[ERR_UNAVAILABLE], 0);
        ck_assert_uint_eq(n_answered[ERR_OK] + n_answered[ERR_UNAVAILABLE], n_answers);
}
END_TEST

/* A stream that would stay for ever is told. */
START_TEST(drain_tells)
{
        static const struct rpc_stream_events events = { .on_message = ignore_message,
                                                         .on_end = note_end };
        struct answer a = { 0 };
        struct rpc_stream *s = rpc_stream_open(fx.channel, "/t.T/Polite", &events, &a);

        rpc_stream_write(s, text_of(""));
        rpc_stream_close_send(s);
        loop_run_until(fx.loop, &seen.is_here);
        fixture_drain(&fx, 3600 * 1000);
        ck_assert(seen.was_drained && !seen.was_cancelled);
        loop_run_until(fx.loop, &a.is_done);
        ck_assert_int_eq(a.e.code, ERR_OK);
        rpc_stream_free(s);
}
END_TEST

/* The whole way of a server's main(): a signal, a drain, and the loop stops. */
static void stop_loop(void *arg)
{
        (void)arg;
        fx.is_drained = true;
        loop_stop(fx.loop);
}

static void drain_on_signal(void *arg)
{
        (void)arg;
        rpc_server_drain(fx.server, 3600 * 1000, stop_loop, NULL);
}

START_TEST(sigterm)
{
        loop_on_terminate(fx.loop, drain_on_signal, NULL);
        assert_echo("x");
        raise(SIGTERM);
        loop_run(fx.loop);
        ck_assert(fx.is_drained);
        fx.server = rpc_server_free(fx.server);
}
END_TEST

/* ---- the peer */

static void restart_server(void)
{
        struct rpc_server_options o = {
                .address = fx.address,
                .methods = methods,
                .n_methods = ARRAY_LEN(methods),
        };
        struct err e = ERR_INIT;

        ck_assert_msg(!rpc_server_start(fx.loop, &o, &fx.server, &e), "%s", e.msg);
}

/* Calls fail at once while the server is away, and succeed by themselves soon after it is back. */
START_TEST(server_restarts)
{
        for (int round = 0; round < 3; round++) {
                struct answer a;

                assert_echo("before");
                fx.is_drained = false;
                fixture_drain(&fx, 1000);
                a = call_and_wait(&fx, "/t.T/Echo", text_of("x"), in_ms(60000));
                ck_assert_int_eq(a.e.code, ERR_UNAVAILABLE);
                restart_server();
                do {
                        a = call_and_wait(&fx, "/t.T/Echo", text_of("x"), in_ms(60000));
                        if (a.e.code)
                                ck_assert_int_eq(a.e.code, ERR_UNAVAILABLE);
                } while (a.e.code);
                buf_done(&a.body);
        }
}
END_TEST

/* Starts this program as a server of its own, which prints its port. */
static pid_t spawn_server(int *ret_port)
{
        char *argv[] = { (char *)"/proc/self/exe", (char *)"--serve", NULL };
        posix_spawn_file_actions_t actions;
        char line[32] = "";
        int fds[2];
        ssize_t n;
        pid_t pid;

        ck_assert_int_eq(pipe(fds), 0);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
        posix_spawn_file_actions_addclose(&actions, fds[0]);
        ck_assert_int_eq(posix_spawn(&pid, argv[0], &actions, NULL, argv, environ), 0);
        posix_spawn_file_actions_destroy(&actions);
        close(fds[1]);
        n = read(fds[0], line, sizeof(line) - 1);
        ck_assert_int_gt(n, 0);
        *ret_port = atoi(line);
        close(fds[0]);
        return pid;
}

/* In a process of its own, where Check must not be asked anything. */
static int serve_here(void)
{
        struct rpc_server_options o = {
                .address = "127.0.0.1:0",
                .methods = methods,
                .n_methods = ARRAY_LEN(methods),
        };
        struct err e;

        fx.loop = loop_new();
        if (rpc_server_start(fx.loop, &o, &fx.server, &e))
                return EXIT_FAILURE;
        loop_on_terminate(fx.loop, drain_on_signal, NULL);
        printf("%d\n", rpc_server_port(fx.server));
        fclose(stdout);
        loop_run(fx.loop);
        rpc_server_free(fx.server);
        loop_free(fx.loop);
        return EXIT_SUCCESS;
}

static void reap(pid_t pid, int want_signal)
{
        int status;

        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        if (want_signal)
                ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == want_signal);
        else
                ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

START_TEST(process_ends_on_sigterm)
{
        int port;
        pid_t pid = spawn_server(&port);

        kill(pid, SIGTERM);
        reap(pid, 0);
}
END_TEST

/* A process that is stopped keeps its connection open and answers nothing: only keepalive finds
 * out. */
START_TEST(keepalive)
{
        struct rpc_channel_options o = {
                .address = fx.address,
                .keepalive_ms = 300,
                .keepalive_timeout_ms = 300,
        };
        struct answer a;
        int port;
        pid_t pid = spawn_server(&port);

        rpc_channel_free(fx.channel);
        snprintf(fx.address, sizeof(fx.address), "127.0.0.1:%d", port);
        fx.channel = rpc_channel_new(fx.loop, &o);
        assert_echo("awake");
        kill(pid, SIGSTOP);
        a = call_and_wait(&fx, "/t.T/Echo", text_of("asleep?"), INT64_MAX);
        ck_assert_int_eq(a.e.code, ERR_UNAVAILABLE);
        kill(pid, SIGKILL);
        reap(pid, SIGKILL);
}
END_TEST

/* Pinging more often than there is data to send is no offence. */
START_TEST(keepalive_is_welcome)
{
        struct rpc_channel_options o = {
                .address = fx.address,
                .keepalive_ms = 60,
                .keepalive_timeout_ms = 60000,
        };
        struct answer a;

        rpc_channel_free(fx.channel);
        fx.channel = rpc_channel_new(fx.loop, &o);
        a = call_and_wait(&fx, "/t.T/Hold", text_of(""), in_ms(1000));
        ck_assert_int_eq(a.e.code, ERR_DEADLINE);
}
END_TEST

/* The other way round: the server gives up a client that is stopped. */
static int hold_there(const char *address)
{
        struct answer a = { 0 };

        fx.loop = loop_new();
        snprintf(fx.address, sizeof(fx.address), "%s", address);
        fx.channel = fixture_channel(&fx);
        rpc_unary(fx.channel, "/t.T/Hold", text_of(""), INT64_MAX, note_answer, &a);
        loop_run_until(fx.loop, &a.is_done);
        return EXIT_FAILURE;
}

START_TEST(silent_client)
{
        struct rpc_server_options o = { .keepalive_ms = 300, .keepalive_timeout_ms = 300 };
        char *argv[] = { (char *)"/proc/self/exe", (char *)"--hold", fx.address, NULL };
        pid_t pid;

        fixture_stop(&fx);
        fixture_start(&fx, methods, ARRAY_LEN(methods), &o);
        ck_assert_int_eq(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ), 0);
        loop_run_until(fx.loop, &seen.is_here);
        kill(pid, SIGSTOP);
        loop_run_until(fx.loop, &seen.was_cancelled);
        kill(pid, SIGKILL);
        reap(pid, SIGKILL);
}
END_TEST

/* A client that dies is noticed without any keepalive. */
START_TEST(client_dies)
{
        char *argv[] = { (char *)"/proc/self/exe", (char *)"--hold", fx.address, NULL };
        pid_t pid;

        ck_assert_int_eq(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ), 0);
        loop_run_until(fx.loop, &seen.is_here);
        kill(pid, SIGKILL);
        loop_run_until(fx.loop, &seen.was_cancelled);
        reap(pid, SIGKILL);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("rpc/server");
        TCase *t = tcase_create("server");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, port_taken);
        tcase_add_test(t, method_twice);
        tcase_add_test(t, unix_socket);
        tcase_add_test(t, http_proxy);
        tcase_add_test(t, drain_idle);
        tcase_add_test(t, drain_waits);
        tcase_add_loop_test(t, drain_stuck, 0, 2);
        tcase_add_test(t, drain_under_load);
        tcase_add_test(t, drain_tells);
        tcase_add_test(t, sigterm);
        tcase_add_test(t, server_restarts);
        tcase_add_test(t, process_ends_on_sigterm);
        tcase_add_test(t, keepalive);
        tcase_add_test(t, keepalive_is_welcome);
        tcase_add_test(t, silent_client);
        tcase_add_test(t, client_dies);
        suite_add_tcase(s, t);
        return s;
}

int main(int argc, char **argv)
{
        if (argc == 2 && !strcmp(argv[1], "--serve"))
                return serve_here();
        if (argc == 3 && !strcmp(argv[1], "--hold"))
                return hold_there(argv[2]);
        return run_suite(suite());
}
