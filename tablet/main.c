/* main.c - the tablet process: settings, start, end. */
#include <stdio.h>

#include "common/log.h"
#include "tablet/process.h"

static struct loop *loop;

static void on_drained(void *arg)
{
        loop_stop(loop);
}

static void on_terminate(void *arg)
{
        process_drain(arg, on_drained, NULL);
}

int main(int argc, char **argv)
{
        static struct tablet_settings settings;
        struct process *process = NULL;
        struct err err = ERR_INIT;
        enum log_level level = LOG_INFO;
        bool quit = false;

        if (conf_load(&tablet_conf, argc, argv, &settings, &quit, &err) ||
            (!quit && log_level_parse(settings.log_level, &level, &err))) {
                fprintf(stderr, "tablet: %s\n", err.msg);
                return 2;
        }
        if (quit)
                return 0;
        log_init(settings.id, level);
        loop = loop_new();
        if (process_start(loop, &settings, &process, &err)) {
                log_event(LOG_ERROR, "start_failed", "reason=%s error=%s", err.reason,
                          log_quote(err.msg));
                return 1;
        }
        loop_on_terminate(loop, on_terminate, process);
        loop_run(loop);
        process_free(process);
        loop_free(loop);
        conf_done(&tablet_conf, &settings);
        log_event(LOG_INFO, "stopped", "code=OK");
        return 0;
}
