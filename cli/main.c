/* main.c - shoal: reads the command line, then runs SQL, an admin command or the shell. One thread.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/admin.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/places.h"
#include "cli/report.h"
#include "cli/shell.h"

static void set_up_shell(struct shell *sh, const struct options *o)
{
        bool is_terminal = isatty(STDOUT_FILENO);

        free(sh->keyspace);
        sh->keyspace = xstrdup(o->keyspace);
        sh->timeout_ms = o->timeout_ms;
        sh->interactive = o->n_words == 0 && isatty(STDIN_FILENO) && is_terminal;
        sh->timer = o->timer;
        sh->stats = o->stats;
        sh->bail = o->bail;
        sh->print.color = is_terminal;
        if (o->headers >= 0) {
                sh->headers_were_set = true;
                sh->print.headers = o->headers != 0;
        }
        if (o->given & OPTION_JSON)
                shell_set_mode(sh, PRINT_JSON);
        else
                shell_set_mode(sh, o->has_mode ? o->mode : is_terminal ? PRINT_TABLE : PRINT_LIST);
}

static int run_shell(struct loop *l, const struct options *o, const struct places *places)
{
        struct origin from = { .is_script = true };
        struct shell sh;
        int exit_code;

        shell_init(&sh, l, places);
        set_up_shell(&sh, o);
        remote_catch_interrupts();
        if (sh.interactive) {
                printf("shoal %s, keyspace %s. SQL ends with a semicolon; .help shows what else "
                       "there is.\n",
                       SHOAL_VERSION, sh.keyspace);
                shell_interact(&sh);
        } else if (o->n_words == 0) {
                shell_run_file(&sh, stdin, &from);
        }
        for (size_t i = 0; i < o->n_words && !sh.quit && (sh.exit_code == EXIT_OK || !sh.bail);
             i++) {
                if (shell_run_text(&sh, o->words[i]) == ERR_UNAVAILABLE)
                        break;
        }
        exit_code = sh.exit_code;
        shell_done(&sh);
        return exit_code;
}

static int fail(const struct err *e, int exit_code)
{
        fflush(stdout);
        report_error(stderr, e, NULL, 0, NULL, 0);
        return exit_code;
}

static int run_admin(struct loop *l, const struct admin_command *c, const struct options *o,
                     const struct places *places)
{
        struct remote *topo;
        struct err e = ERR_INIT;
        enum err_code rc;

        if (!places->topo) {
                fputs("shoal: the address of topo is not known: give --topo HOST:PORT, set "
                      "SHOAL_TOPO, or name a local "
                      "cluster with --cluster DIR\n",
                      stderr);
                return EXIT_USAGE;
        }
        topo = remote_new(l, places->topo, o->timeout_ms);
        rc = admin_run(c, o, topo, stdout, &e);
        remote_free(topo);
        return rc ? fail(&e, report_exit_code(&e)) : EXIT_OK;
}

static int run(const struct options *o)
{
        const struct admin_command *command = NULL;
        struct places places = { 0 };
        struct err e = ERR_INIT;
        struct loop *l;
        int exit_code = EXIT_USAGE;

        if (admin_find(o, &command, &e) || places_find(o->gate, o->topo, o->cluster, &places, &e)) {
                fprintf(stderr, "shoal: %s\n", e.msg);
        } else if (!command && (o->given & ~(unsigned)(OPTION_SHELL | OPTION_JSON))) {
                fputs("shoal: --shards, --if-not-exists and --force belong to shoal keyspace …, "
                      "--unresolved to shoal transaction …\n",
                      stderr);
        } else {
                /* What gRPC itself has to say is no use to a person; calls fail with a message of
                 * their own. */
                setenv("GRPC_VERBOSITY", "NONE", 0);
                l = loop_new();
                exit_code = command ? run_admin(l, command, o, &places) : run_shell(l, o, &places);
                loop_free(l);
        }
        places_done(&places);
        return exit_code;
}

int main(int argc, char **argv)
{
        struct options o;
        struct err e = ERR_INIT;

        if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
                setlocale(LC_CTYPE, "C.UTF-8");
        if (options_parse(argc, argv, &o, &e)) {
                fprintf(stderr, "shoal: %s\nTry: shoal --help\n", e.msg);
                return EXIT_USAGE;
        }
        if (o.version) {
                puts("shoal " SHOAL_VERSION);
                return EXIT_OK;
        }
        if (o.help || (o.n_words && strcmp(o.words[0], "help") == 0)) {
                bool is_word = !o.help && o.n_words > 1;

                help_print(stdout, is_word ? o.words[1] : o.n_words ? o.words[0] : NULL);
                return EXIT_OK;
        }
        return run(&o);
}
