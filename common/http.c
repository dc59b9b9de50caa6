/* http.c - the second port. All of it but start and stop runs on libmicrohttpd's one thread. */
#include "common/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/metrics.h"

enum {
        MAX_CONNECTIONS = 64,
        MAX_LIVE_CONNECTIONS = 48, /* beyond, the oldest is hung up on */
        IDLE_TIMEOUT_S = 10,
        CONNECTION_BYTES = 16 * 1024, /* for request line and headers */
        MAX_PAGE_BYTES = 32 << 20,
        ADDRESS_BYTES = 80,
};

/* Owner: the HTTP thread, once started. */
struct connection {
        struct connection *prev, *next; /* in order of arrival */
        int fd;
};

struct http {
        struct MHD_Daemon *daemon;
        http_ready_fn *ready;
        void *arg;
        char address[ADDRESS_BYTES];
        /* Owner: the HTTP thread. */
        struct connection live; /* head of the ring */
        unsigned n_live;
};

/* ---- answers */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type,
                              void *body, size_t n_bytes, enum MHD_ResponseMemoryMode mode)
{
        struct MHD_Response *r = MHD_create_response_from_buffer(n_bytes, body, mode);
        enum MHD_Result rc;

        if (!r) {
                if (mode == MHD_RESPMEM_MUST_FREE)
                        free(body);
                return MHD_NO;
        }
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
        if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
                MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
        rc = MHD_queue_response(c, status, r);
        MHD_destroy_response(r);
        return rc;
}

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned status, const char *text)
{
        char *copy = xstrdup(text);

        return answer(c, status, "text/plain; charset=utf-8", copy, strlen(copy),
                      MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result answer_metrics(struct MHD_Connection *c)
{
        struct buf b = BUF_INIT(MAX_PAGE_BYTES);

        metrics_write(&b);
        if (b.failed) {
                buf_done(&b);
                return answer_text(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "the page is too large\n");
        }
        /* The response frees the bytes. */
        return answer(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", b.data, b.n_bytes,
                      MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result answer_ready(const struct http *h, struct MHD_Connection *c)
{
        const char *why = "starting";
        char text[200];

        if (!h->ready || h->ready(h->arg, &why))
                return answer_text(c, MHD_HTTP_OK, "ready\n");
        snprintf(text, sizeof text, "not ready: %s\n", why);
        return answer_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

static enum MHD_Result handle_request(void *arg, struct MHD_Connection *c, const char *url,
                                      const char *method, const char *version,
                                      const char *upload_data, size_t *upload_data_size,
                                      void **state)
{
        const struct http *h = arg;

        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
                return answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        if (strcmp(url, "/metrics") == 0)
                return answer_metrics(c);
        if (strcmp(url, "/healthz") == 0)
                return answer_text(c, MHD_HTTP_OK, "ok\n");
        if (strcmp(url, "/readyz") == 0)
                return answer_ready(h, c);
        return answer_text(c, MHD_HTTP_NOT_FOUND, "there are /metrics, /healthz and /readyz\n");
}

/* ---- connections. The idle timeout does not end a client that sends a byte now and then, and
 * enough of those would keep everybody else out; so the oldest connection makes room for the
 * newest. Scrapes are done long before that. */

static int connection_fd(struct MHD_Connection *c)
{
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

        return info ? info->connect_fd : -1;
}

static void add_connection(struct http *h, struct MHD_Connection *c, void **socket_context)
{
        struct connection *conn = xcalloc(1, sizeof *conn);

        conn->fd = connection_fd(c);
        conn->next = &h->live;
        conn->prev = h->live.prev;
        conn->prev->next = conn;
        h->live.prev = conn;
        *socket_context = conn;
        if (++h->n_live > MAX_LIVE_CONNECTIONS && h->live.next->fd >= 0) {
                /* libmicrohttpd sees the end, closes and tells; until then nobody else gets the
                 * number. */
                shutdown(h->live.next->fd, SHUT_RDWR);
        }
}

static void remove_connection(struct http *h, void **socket_context)
{
        struct connection *conn = *socket_context;

        if (!conn)
                return;
        conn->prev->next = conn->next;
        conn->next->prev = conn->prev;
        h->n_live--;
        free(conn);
        *socket_context = NULL;
}

static void notify_connection(void *arg, struct MHD_Connection *c, void **socket_context,
                              enum MHD_ConnectionNotificationCode code)
{
        if (code == MHD_CONNECTION_NOTIFY_STARTED)
                add_connection(arg, c, socket_context);
        else
                remove_connection(arg, socket_context);
}

/* ---- start and stop */

/* Splits "host:port" or "[host]:port"; false if it is neither. */
static bool split_address(const char *address, char *ret_host, size_t n_bytes,
                          const char **ret_port)
{
        const char *colon = strrchr(address, ':');
        size_t n;

        if (!colon || !colon[1] || colon == address)
                return false;
        n = (size_t)(colon - address);
        if (*address == '[') {
                if (address[n - 1] != ']')
                        return false;
                address++;
                n -= 2;
        }
        if (n == 0 || n >= n_bytes)
                return false;
        memcpy(ret_host, address, n);
        ret_host[n] = '\0';
        *ret_port = colon + 1;
        return true;
}

/* -1 and errno: cannot listen there. */
static int listen_at(const struct addrinfo *ai)
{
        int fd =
            socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, ai->ai_protocol);
        int on = 1, saved;

        if (fd < 0)
                return -1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
                return fd;
        saved = errno;
        close(fd);
        errno = saved;
        return -1;
}

static enum err_code open_listener(const char *address, int *ret_fd, struct err *reterr)
{
        struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *list;
        char host[256];
        const char *port;
        int rc, fd = -1;

        if (!split_address(address, host, sizeof host, &port))
                return err_set(reterr, ERR_INVALID, "BAD_CONFIG",
                               "HTTP address \"%s\" is not HOST:PORT", address);
        rc = getaddrinfo(host, port, &hints, &list);
        if (rc)
                return err_set(reterr, ERR_UNAVAILABLE, "ADDRESS_UNAVAILABLE",
                               "HTTP address %s: %s", address, gai_strerror(rc));
        for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
                fd = listen_at(ai);
        freeaddrinfo(list);
        if (fd < 0)
                return err_set(reterr, ERR_UNAVAILABLE, "ADDRESS_UNAVAILABLE",
                               "cannot listen for HTTP at %s: %s", address, strerror(errno));
        *ret_fd = fd;
        return ERR_OK;
}

static void format_address(int fd, char *ret_text, size_t n_bytes)
{
        struct sockaddr_storage a;
        socklen_t n = sizeof a;
        char host[64], port[16];

        if (getsockname(fd, (struct sockaddr *)&a, &n) != 0 ||
            getnameinfo((struct sockaddr *)&a, n, host, sizeof host, port, sizeof port,
                        NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
                *ret_text = '\0';
                return;
        }
        snprintf(ret_text, n_bytes, a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

enum err_code http_start(const char *address, http_ready_fn *ready, void *arg,
                         struct http **ret_http, struct err *reterr)
{
        struct http *h;
        enum err_code rc;
        int fd;

        rc = open_listener(address, &fd, reterr);
        if (rc)
                return rc;
        h = xcalloc(1, sizeof *h);
        h->ready = ready;
        h->arg = arg;
        h->live.next = h->live.prev = &h->live;
        format_address(fd, h->address, sizeof h->address);
        h->daemon = MHD_start_daemon(
            MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, 0, NULL, NULL, handle_request, h,
            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS,
            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
            MHD_OPTION_NOTIFY_CONNECTION, notify_connection, h, MHD_OPTION_END);
        if (!h->daemon) {
                close(fd);
                free(h);
                return err_set(reterr, ERR_UNAVAILABLE, "ADDRESS_UNAVAILABLE",
                               "cannot start the HTTP server at %s", address);
        }
        *ret_http = h;
        return ERR_OK;
}

struct http *http_stop(struct http *h)
{
        if (!h)
                return NULL;
        MHD_stop_daemon(h->daemon); /* closes the listening socket too */
        free(h);
        return NULL;
}

const char *http_address(const struct http *h)
{
        return h->address;
}
