/* options.c - getopt_long() and its messages. */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <string.h>

#include "common/util.h"

enum {
        OPT_GATE = 1000,
        OPT_TOPO,
        OPT_CLUSTER,
        OPT_KEYSPACE,
        OPT_TIMEOUT,
        OPT_MODE,
        OPT_HEADERS,
        OPT_NO_HEADERS,
        OPT_BAIL,
        OPT_STATS,
        OPT_TIMER,
        OPT_JSON,
        OPT_SHARDS,
        OPT_IF_NOT_EXISTS,
        OPT_FORCE,
        OPT_UNRESOLVED,
        OPT_HELP,
        OPT_VERSION,
};

static const struct option long_options[] = {
        { "gate", required_argument, NULL, OPT_GATE },
        { "topo", required_argument, NULL, OPT_TOPO },
        { "cluster", required_argument, NULL, OPT_CLUSTER },
        { "keyspace", required_argument, NULL, OPT_KEYSPACE },
        { "timeout", required_argument, NULL, OPT_TIMEOUT },
        { "mode", required_argument, NULL, OPT_MODE },
        { "headers", no_argument, NULL, OPT_HEADERS },
        { "no-headers", no_argument, NULL, OPT_NO_HEADERS },
        { "bail", no_argument, NULL, OPT_BAIL },
        { "stats", no_argument, NULL, OPT_STATS },
        { "timer", no_argument, NULL, OPT_TIMER },
        { "json", no_argument, NULL, OPT_JSON },
        { "shards", required_argument, NULL, OPT_SHARDS },
        { "if-not-exists", no_argument, NULL, OPT_IF_NOT_EXISTS },
        { "force", no_argument, NULL, OPT_FORCE },
        { "unresolved", no_argument, NULL, OPT_UNRESOLVED },
        { "help", no_argument, NULL, OPT_HELP },
        { "version", no_argument, NULL, OPT_VERSION },
        { NULL, 0, NULL, 0 },
};

/* "200ms", "5s", "2m", or a bare number of milliseconds. */
static bool parse_duration(const char *s, uint64_t *ret_ms)
{
        static const struct {
                const char *unit;
                uint64_t ms;
        } units[] = { { "", 1 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 } };
        unsigned long long n;
        char *end;

        errno = 0;
        n = strtoull(s, &end, 10);
        if (errno || end == s || *s == '-' || n > 1000ull * 3600 * 24)
                return false;
        for (size_t i = 0; i < ARRAY_LEN(units); i++) {
                if (strcmp(end, units[i].unit) == 0) {
                        *ret_ms = n * units[i].ms;
                        return true;
                }
        }
        return false;
}

static bool parse_shards(const char *s, uint32_t *ret_shards)
{
        unsigned long n;
        char *end;

        errno = 0;
        n = strtoul(s, &end, 10);
        if (errno || end == s || *end || *s == '-' || n == 0 || n > UINT32_MAX)
                return false;
        *ret_shards = (uint32_t)n;
        return true;
}

static enum err_code take_value(struct options *o, int option, const char *value,
                                struct err *reterr)
{
        switch (option) {
        case OPT_GATE:
                o->gate = value;
                break;
        case OPT_TOPO:
                o->topo = value;
                break;
        case OPT_CLUSTER:
                o->cluster = value;
                break;
        case OPT_KEYSPACE:
                o->keyspace = value;
                break;
        case OPT_TIMEOUT:
                if (!parse_duration(value, &o->timeout_ms))
                        return err_set(reterr, ERR_INVALID, "",
                                       "--timeout %s: not a duration such as 500ms, 10s, 2m",
                                       value);
                break;
        case OPT_MODE:
                if (!print_mode_parse(value, &o->mode))
                        return err_set(reterr, ERR_INVALID, "",
                                       "--mode %s: not one of list, table, csv, json", value);
                o->has_mode = true;
                o->given |= OPTION_SHELL;
                break;
        case OPT_SHARDS:
                if (!parse_shards(value, &o->shards))
                        return err_set(reterr, ERR_INVALID, "", "--shards %s: not a number from 1",
                                       value);
                o->given |= OPTION_SHARDS;
                break;
        }
        return ERR_OK;
}

static void take_switch(struct options *o, int option)
{
        switch (option) {
        case OPT_HEADERS:
        case OPT_NO_HEADERS:
                o->headers = option == OPT_HEADERS;
                break;
        case OPT_BAIL:
                o->bail = true;
                break;
        case OPT_STATS:
                o->stats = true;
                break;
        case OPT_TIMER:
                o->timer = true;
                break;
        case OPT_JSON:
                o->given |= OPTION_JSON;
                return;
        case OPT_IF_NOT_EXISTS:
                o->given |= OPTION_IF_NOT_EXISTS;
                return;
        case OPT_FORCE:
                o->given |= OPTION_FORCE;
                return;
        case OPT_UNRESOLVED:
                o->given |= OPTION_UNRESOLVED;
                return;
        case OPT_HELP:
                o->help = true;
                return;
        case OPT_VERSION:
                o->version = true;
                return;
        default:
                return;
        }
        o->given |= OPTION_SHELL;
}

enum err_code options_parse(int argc, char **argv, struct options *ret_options, struct err *reterr)
{
        struct options o = { .keyspace = "main", .headers = -1 };
        int option;
        enum err_code rc;

        optind = 0; /* starts over, for the tests */
        opterr = 0;
        while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
                const char *word = argv[optind > 0 ? optind - 1 : 0];

                if (option == ':')
                        return err_set(reterr, ERR_INVALID, "", "%s: a value is missing", word);
                if (option == '?')
                        return err_set(reterr, ERR_INVALID, "",
                                       "%s: no such option, or it takes no value", word);
                if (option == 'h')
                        option = OPT_HELP;
                rc = take_value(&o, option, optarg, reterr);
                if (rc)
                        return rc;
                take_switch(&o, option);
        }
        o.words = argv + optind;
        o.n_words = (size_t)(argc - optind);
        *ret_options = o;
        return ERR_OK;
}
