/* loop_signal.c - SIGTERM and SIGINT as an event of a loop. The handler may hardly do anything, so
 * it writes to an eventfd; a thread of its own reads that and posts to the loop. It does not matter
 * which thread of the process gets the signal. One loop in a process at a time. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/util.h"
#include "rpc/loop_int.h"

/* Owner: the loop thread; the watcher thread reads loop and posts task. */
struct loop_signals {
        struct loop *loop;
        struct loop_task task;
        pthread_t watcher;
        void (*fn)(void *arg);
        void *arg;
        struct sigaction before_term;
        struct sigaction before_int;
};

enum { SAW_SIGNAL = 1 };
static const uint64_t STOP_WATCHING = UINT64_C(1) << 32;

static volatile sig_atomic_t event_fd = -1;

static void note_signal(int number)
{
        static const uint64_t one = SAW_SIGNAL;
        int saved_errno = errno;

        (void)number;
        if (write(event_fd, &one, sizeof(one)) < 0) {
                /* The counter is full: the watcher has been told often enough. */
        }
        errno = saved_errno;
}

static void *watch(void *arg)
{
        struct loop_signals *s = arg;
        bool told = false;
        uint64_t seen;

        for (;;) {
                if (read(event_fd, &seen, sizeof(seen)) != sizeof(seen)) {
                        assert(errno == EINTR);
                        continue;
                }
                if (seen >= STOP_WATCHING)
                        return NULL;
                if (!told)
                        loop_post(s->loop, &s->task);
                told = true;
        }
}

static void run_terminate(struct loop_task *task)
{
        struct loop_signals *s = CONTAINER_OF(task, struct loop_signals, task);

        s->fn(s->arg);
}

void loop_on_terminate(struct loop *l, void (*fn)(void *arg), void *arg)
{
        struct loop_signals *s = xcalloc(1, sizeof(*s));
        struct sigaction action = { .sa_handler = note_signal, .sa_flags = SA_RESTART };
        sigset_t all, before;
        int rc;

        assert(!l->signals && event_fd < 0);
        *s = (struct loop_signals){
                .loop = l, .task = { .fn = run_terminate }, .fn = fn, .arg = arg
        };
        l->signals = s;
        event_fd = eventfd(0, EFD_CLOEXEC);
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);
        rc = event_fd < 0 ? errno : pthread_create(&s->watcher, NULL, watch, s);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (rc) {
                fprintf(stderr, "cannot watch for signals: error %d\n", rc);
                abort();
        }
        pthread_setname_np(s->watcher, "signals");
        sigaction(SIGTERM, &action, &s->before_term);
        sigaction(SIGINT, &action, &s->before_int);
}

void loop_signals_stop(struct loop *l)
{
        struct loop_signals *s = l->signals;
        int fd = event_fd;
        ssize_t n;

        if (!s)
                return;
        sigaction(SIGTERM, &s->before_term, NULL);
        sigaction(SIGINT, &s->before_int, NULL);
        do
                n = write(fd, &STOP_WATCHING, sizeof(STOP_WATCHING));
        while (n < 0 && errno == EINTR);
        pthread_join(s->watcher, NULL);
        event_fd = -1;
        close(fd);
}
