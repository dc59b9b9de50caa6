/* bare_path - the least that two gRPC hops can cost on this machine, to measure the gate against: a
 * server that echoes, a proxy that passes unary calls on over a few persistent streams, and a load
 * generator that can also call the gate. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "rpc/lock_graph.h"
#include "tests/bench/bare.h"

grpc_completion_queue *bare_cq;
static volatile sig_atomic_t got_signal;

static void note_signal(int number)
{
        (void)number;
        got_signal = 1;
}

void bare_batch(grpc_call *call, const grpc_op *ops, size_t n_ops, struct bare_tag *tag)
{
        grpc_call_error e = grpc_call_start_batch(call, ops, n_ops, tag, NULL);

        if (e != GRPC_CALL_OK) {
                fprintf(stderr, "bare_path: %s\n", grpc_call_error_to_string(e));
                abort();
        }
}

static grpc_completion_type run_one(gpr_timespec deadline)
{
        grpc_event e = grpc_completion_queue_next(bare_cq, deadline, NULL);
        struct bare_tag *tag = e.tag;

        if (e.type == GRPC_OP_COMPLETE)
                tag->fn(tag, e.success);
        return e.type;
}

void bare_poll(const bool *done)
{
        gpr_timespec deadline = gpr_inf_past(GPR_CLOCK_MONOTONIC);

        /* It wakes up now and then to look for a signal; as long as there are events it need not
         * read the clock. */
        while (done ? !*(const volatile bool *)done : !got_signal)
                if (run_one(deadline) == GRPC_QUEUE_TIMEOUT)
                        deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                                gpr_time_from_millis(100, GPR_TIMESPAN));
}

static grpc_arg int_arg(const char *key, int value)
{
        return (grpc_arg){ .type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value };
}

grpc_channel *bare_channel(const char *address, unsigned number)
{
        grpc_arg args[] = {
                int_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
                int_arg(GRPC_ARG_ENABLE_RETRIES, 0),
                int_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
                int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, -1),
                int_arg(GRPC_ARG_CHANNEL_ID, (int)number),
        };
        grpc_channel_args list = { .num_args = ARRAY_LEN(args), .args = args };
        grpc_channel_credentials *creds = grpc_insecure_credentials_create();
        grpc_channel *channel = grpc_channel_create(address, creds, &list);

        grpc_channel_credentials_release(creds);
        return channel;
}

static const char usage[] =
    "usage: bare_path server --listen HOST:PORT\n"
    "       bare_path proxy --listen HOST:PORT --upstream HOST:PORT [--streams N]\n"
    "       bare_path load --upstream HOST:PORT [--method PATH] [--requests FILE | --payload "
    "BYTES]\n"
    "                      [--calls N] [--channels N] [--seconds S] [--warmup S]\n"
    "server and proxy print the port they listen on, load prints one line of JSON.\n";

static const struct option flags[] = {
        { "listen", required_argument, NULL, 'l' },
        { "upstream", required_argument, NULL, 'u' },
        { "streams", required_argument, NULL, 't' },
        { "method", required_argument, NULL, 'm' },
        { "requests", required_argument, NULL, 'r' },
        { "payload", required_argument, NULL, 'p' },
        { "calls", required_argument, NULL, 'c' },
        { "channels", required_argument, NULL, 'n' },
        { "seconds", required_argument, NULL, 's' },
        { "warmup", required_argument, NULL, 'w' },
        { NULL, 0, NULL, 0 },
};

static bool parse_flags(int argc, char **argv, struct bare_options *o)
{
        int c;

        while ((c = getopt_long(argc, argv, "", flags, NULL)) != -1) {
                switch (c) {
                case 'l':
                        o->listen = optarg;
                        break;
                case 'u':
                        o->upstream = optarg;
                        break;
                case 't':
                        o->n_streams = (unsigned)atoi(optarg);
                        break;
                case 'm':
                        o->method = optarg;
                        break;
                case 'r':
                        o->requests = optarg;
                        break;
                case 'p':
                        o->n_payload_bytes = (unsigned)atoi(optarg);
                        break;
                case 'c':
                        o->n_calls = (unsigned)atoi(optarg);
                        break;
                case 'n':
                        o->n_channels = (unsigned)atoi(optarg);
                        break;
                case 's':
                        o->seconds = atof(optarg);
                        break;
                case 'w':
                        o->warmup_seconds = atof(optarg);
                        break;
                default:
                        return false;
                }
        }
        return o->n_streams && o->n_calls && o->n_channels && o->seconds > 0;
}

static int run_mode(const char *mode, const struct bare_options *o)
{
        if (!strcmp(mode, "server") && o->listen)
                return bare_serve(o, false);
        if (!strcmp(mode, "proxy") && o->listen && o->upstream)
                return bare_serve(o, true);
        if (!strcmp(mode, "load") && o->upstream)
                return bare_load(o);
        fputs(usage, stderr);
        return 2;
}

int main(int argc, char **argv)
{
        struct bare_options o = {
                .n_streams = 4,
                .method = BARE_UNARY,
                .n_payload_bytes = 100,
                .n_calls = 64,
                .n_channels = 1,
                .seconds = 3,
                .warmup_seconds = 0.5,
        };
        int rc;

        if (argc < 2 || !parse_flags(argc - 1, argv + 1, &o)) {
                fputs(usage, stderr);
                return 2;
        }
        signal(SIGTERM, note_signal);
        signal(SIGINT, note_signal);
        lock_graph_stop();
        grpc_init();
        bare_cq = grpc_completion_queue_create_for_next(NULL);
        rc = run_mode(argv[1], &o);
        grpc_completion_queue_shutdown(bare_cq);
        while (run_one(gpr_inf_future(GPR_CLOCK_MONOTONIC)) != GRPC_QUEUE_SHUTDOWN)
                ;
        grpc_completion_queue_destroy(bare_cq);
        grpc_shutdown();
        return rc;
}
