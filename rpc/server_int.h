/* server_int.h - what the files that make up the server share: the server, its methods and its
 * calls. */
#pragma once

#include <grpc/grpc.h>

#include "rpc/loop_int.h"
#include "rpc/server.h"

enum {
        SWEEP_US = 4000,   /* a cancelled call is noticed within two of these */
        LINGER_US = 50000, /* between the last answer and the end of the connections */
        MAX_GRACE_MS = 24 * 3600 * 1000,
        /* Calls of a method that libgrpc may hand over before we offer more. Debian's libgrpc looks
         * for each event's tag among all that are outstanding, one by one, so methods that are
         * never called had better not have many. */
        FIRST_OFFERS = 2,
        MAX_OFFERS = 64,
        MAX_SPARE_CALLS = 4096, /* call objects kept for reuse */
        MAX_STREAMS_PER_CONNECTION = 4096,
        MIN_PING_INTERVAL_MS = 50, /* who pings more often without sending data is cut off */
};

/* Owner: the loop thread. */
struct method {
        struct rpc_method m;
        void *registered; /* libgrpc's handle; NULL: stands for all unknown methods */
        unsigned n_offers;
        unsigned n_wanted; /* offers; grows to the number of calls there have been at a time */
        unsigned n_live;
};

/* Something of the call as a string, freed with it. */
struct call_string {
        struct call_string *next;
        const void *source; /* the grpc_metadata it is of; the call itself: its peer */
        char text[];
};

/* A call, or the offer to take one. Owner: the loop thread. Counted: one for not being finished
 * yet, one for each batch under way. Reused through the server's spare list, its arrays with it. */
struct rpc_call {
        struct rpc_server *server;
        struct method *method;
        grpc_call *call;
        gpr_timespec deadline;
        grpc_call_details details; /* of a call of an unknown method, while it is on offer */
        grpc_metadata_array metadata;
        grpc_byte_buffer *request; /* NULL: none, or not read yet */
        grpc_slice request_slice;  /* all of request */
        bool request_is_copied;    /* request_slice has a reference of its own */
        bool has_request;          /* request_slice is set */

        struct loop_tag requested;
        struct loop_tag closed;
        struct loop_tag read;
        struct loop_tag written;
        struct loop_tag finished;

        unsigned born; /* the server's sweep then */
        unsigned n_refs;
        int is_cancelled_out; /* libgrpc writes it before closed runs */
        bool close_requested; /* closed is under way, or has run */
        bool is_cancelled;
        bool is_accepted;      /* by the server: it went to its handler */
        bool is_finished;      /* by the handler */
        bool sent_initial;     /* metadata */
        bool is_reading;       /* a message */
        bool is_writing;       /* a message */
        bool is_cancel_posted; /* cancel_task is under way */

        void *data;
        void (*on_cancel)(struct rpc_call *c);
        void (*on_read)(struct rpc_call *c, bool ok);
        void (*on_written)(struct rpc_call *c, bool ok);
        struct loop_task cancel_task;
        struct err *pending_end; /* finished while a write was under way: what to end it with */
        struct call_string *strings;

        struct rpc_call *prev; /* among the server's live calls, or next among the spare ones */
        struct rpc_call *next;
};

/* Owner: the loop thread. */
struct rpc_server {
        struct loop *loop;
        grpc_server *server;
        int port;
        unsigned max_request_depth;
        uint64_t max_request_fields;
        size_t max_calls;

        struct method *methods; /* the last stands for unknown ones */
        size_t n_methods;

        struct health *health;
        struct reflection *reflection; /* NULL: no descriptors were given */

        struct rpc_call live; /* head of the ring of calls handed to us */
        size_t n_live;
        size_t n_accepted; /* of them: not refused */

        /* Calls join the ring in the order of their birth. Those from first_young on, up to the
         * head, have not been asked to report their end; a sweep now and then asks those that were
         * there at the last one already. */
        struct rpc_call *first_young;
        unsigned sweep;
        struct loop_timer sweep_timer;

        size_t n_posted; /* offers */
        struct rpc_call *spare;
        size_t n_spare;

        bool is_draining;
        bool is_shutting_down;
        bool is_shut_down; /* libgrpc says so */
        struct loop_tag shut_down;
        struct loop_timer grace;
        void (*on_drained)(void *arg);
        void *on_drained_arg;
};

/* server.c */
void server_call_lasts(struct rpc_call *c); /* its handler has not finished it at once */
void server_call_gone(struct rpc_call *c);  /* the last reference went */

/* call.c */
void call_init(struct rpc_call *c, struct rpc_server *s);
void call_done(struct rpc_call *c);  /* frees what is kept over reuse */
void call_clear(struct rpc_call *c); /* frees what belongs to one call */
/* libgrpc has handed it over: on_start is the method's, or one that refuses. */
void call_start(struct rpc_call *c, void (*on_start)(struct rpc_call *c, void *arg));
/* From now on its being cancelled is noticed. */
void call_request_close(struct rpc_call *c);
void call_ref(struct rpc_call *c);
void call_unref(struct rpc_call *c);
