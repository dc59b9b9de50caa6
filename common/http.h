/* http.h - the second port: /metrics, /healthz (the process lives), /readyz (it can serve), by
 * libmicrohttpd with a thread of its own. */
#pragma once

#include "common/err.h"

struct http;

/* Tells whether the process can serve now; runs on the HTTP thread. On false, *ret_why (static
 * text) is shown. */
typedef bool http_ready_fn(void *arg, const char **ret_why);

/* address: "127.0.0.1:0" picks a free port. ERR_UNAVAILABLE: cannot listen there. */
enum err_code http_start(const char *address, http_ready_fn *ready, void *arg,
                         struct http **ret_http, struct err *reterr) must_check_;
struct http *http_stop(struct http *h); /* waits for its thread; accepts NULL, returns NULL */
/* "127.0.0.1:43211", borrowed. */
const char *http_address(const struct http *h);
