/* help.c - texts. */
#include "cli/help.h"

#include <string.h>

#include "cli/admin.h"
#include "cli/shell.h"

static const char usage[] =
    "shoal - the command line of Shoal, one SQL database made of many SQLite files\n"
    "\n"
    "  shoal [OPTIONS]                 a shell: type SQL, end it with a semicolon; .help for its "
    "own commands\n"
    "  shoal [OPTIONS] SQL             run SQL and leave\n"
    "  shoal [OPTIONS] < FILE          run a script: SQL and dot commands\n"
    "  shoal keyspace|tablet|shard|table|transaction COMMAND …\n"
    "                                  look at the cluster and change it: shoal help keyspace, …\n"
    "\n"
    "Where the servers are\n"
    "  --gate HOST:PORT      a gate, for SQL (or SHOAL_GATE)\n"
    "  --topo HOST:PORT      topo, for the commands above, .tables and .schema (or SHOAL_TOPO)\n"
    "  --cluster DIR         both from DIR/cluster.json, as deploy/local/cluster writes it (or "
    "SHOAL_CLUSTER;\n"
    "                        .shoal is looked at if nothing else is said)\n"
    "  --keyspace NAME       the database (main)\n"
    "  --timeout DURATION    give up a call after so long: 500ms, 10s, 2m (never)\n"
    "\n"
    "How results look\n"
    "  --mode MODE           list, table, csv or json (table on a terminal, list otherwise)\n"
    "  --json                the same as --mode json; also for the commands above\n"
    "  --headers, --no-headers\n"
    "                        column names in list and csv\n"
    "  --stats, --timer      after each statement: plan, shards and rows; time\n"
    "  --bail                stop at the first error\n"
    "\n"
    "Exit codes\n"
    "  0 all is well   1 a statement has failed   2 the command line is wrong\n"
    "  3 a server cannot be reached, or cannot reach another (try again)   130 Ctrl-C\n"
    "\n"
    "Examples\n"
    "  shoal --cluster .shoal 'SELECT count(*) FROM unicode'\n"
    "  shoal --gate 127.0.0.1:7000 --mode csv 'SELECT * FROM t' > t.csv\n"
    "  echo '.import --skip 0 people.csv people' | shoal\n"
    "  shoal keyspace create shop --shards 32\n"
    "  shoal tablet list --json\n"
    "\n"
    "More: shoal help shell|keyspace|tablet|shard|table|transaction\n";

static const char shell_text[] =
    "The shell\n"
    "\n"
    "  Statements end with a semicolon and may take several lines. Up and down go through the "
    "history\n"
    "  (~/.shoal_history, or SHOAL_HISTORY), Ctrl-R searches it, Ctrl-C drops the line or stops "
    "the statement that\n"
    "  runs, Ctrl-D leaves. ~/.editrc sets keys (man editrc).\n"
    "\n"
    "  A script (.read, standard input) goes on after a failed statement unless .bail is on, and "
    "its exit code is then\n"
    "  1. It stops when the gate cannot be reached. INSERTs of several rows whose rows lie on "
    "several shards are\n"
    "  loaded row by row, and not atomically.\n"
    "\n"
    "  Blobs are shown as x'00ff'. In JSON they are such strings too, and infinities are 1e999.\n"
    "\n"
    "Its own commands (the beginning of a name is enough)\n";

void help_print(FILE *out, const char *topic)
{
        if (topic && admin_is_noun(topic)) {
                fprintf(out, "shoal %s\n\n", topic);
                admin_help(out, topic);
                fputs("\nAll take --topo HOST:PORT or --cluster DIR, see shoal --help. With --json "
                      "the answer is for\n"
                      "programs; the names in it are those of proto/shoal/v1/api.proto.\n",
                      out);
        } else if (topic && strcmp(topic, "shell") == 0) {
                fputs(shell_text, out);
                shell_dot_help(out);
        } else {
                fputs(usage, out);
        }
}
