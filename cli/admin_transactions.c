/* admin_transactions.c - shoal transaction …: what topo knows of transactions over several shards.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/admin_int.h"
#include "cli/printer.h"
#include "common/buf.h"
#include "common/value.h"

static const char *state_name(Shoal__V1__TransactionState state)
{
        switch (state) {
        case SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_PREPARING:
                return "preparing";
        case SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_COMMITTED:
                return "committed";
        case SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_ABORTED:
                return "aborted";
        case SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_DONE:
                return "done";
        case SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_FORGOTTEN:
                return "forgotten";
        default:
                return "unknown";
        }
}

static json_t *transaction_json(const void *item)
{
        const Shoal__V1__TransactionRecord *t = item;
        json_t *participants = json_array();

        for (size_t i = 0; i < t->n_participants; i++)
                json_array_append_new(participants, json_string(t->participants[i]));
        return json_pack("{s:s, s:s, s:o, s:I}", "transaction_id", t->transaction_id, "state",
                         state_name(t->state), "participants", participants, "created_unix_ms",
                         (json_int_t)t->created_unix_ms);
}

static char *join_participants(const Shoal__V1__TransactionRecord *t)
{
        struct buf b = BUF_INIT(0);
        char *text;

        for (size_t i = 0; i < t->n_participants; i++)
                buf_printf(&b, "%s%s", i ? " " : "", t->participants[i]);
        text = buf_take_str(&b);
        return text ? text : xstrdup("");
}

static void print_age(int64_t created_ms, char *s, size_t n_bytes)
{
        int64_t age_ms = wall_us() / 1000 - created_ms;

        if (created_ms)
                snprintf(s, n_bytes, "%.1f s", age_ms > 0 ? (double)age_ms / 1000 : 0.0);
        else
                *s = '\0';
}

static struct value text(const char *s)
{
        return value_text(s, strlen(s));
}

static void print_list(const struct admin_context *c,
                       const Shoal__V1__ListTransactionsResponse *reply)
{
        static const struct print_settings settings = { .mode = PRINT_TABLE, .null_text = "" };
        static const char *const names[] = { "transaction", "state", "age", "participants" };
        struct printer *p = printer_new(c->out, &settings);

        printer_columns(p, names, ARRAY_LEN(names));
        for (size_t i = 0; i < reply->n_transactions; i++) {
                const Shoal__V1__TransactionRecord *t = reply->transactions[i];
                cleanup_(freep) char *participants = join_participants(t);
                char age[32];

                print_age(t->created_unix_ms, age, sizeof age);
                printer_row(p,
                            (struct value[]){ text(t->transaction_id), text(state_name(t->state)),
                                              text(age), text(participants) });
        }
        printer_end(p);
        printer_free(p);
        if (reply->more)
                fputs("There are more than topo tells at once.\n", c->out);
}

static void print_one(const struct admin_context *c, const Shoal__V1__TransactionRecord *t)
{
        char age[32];

        print_age(t->created_unix_ms, age, sizeof age);
        fprintf(c->out, "transaction %s: %s%s%s\n", t->transaction_id, state_name(t->state),
                *age ? ", age " : "", age);
        for (size_t i = 0; i < t->n_participants; i++)
                fprintf(c->out, "  %s\n", t->participants[i]);
}

static enum err_code ask_list(const struct admin_context *c, const char *id,
                              Shoal__V1__ListTransactionsResponse **ret_reply, struct err *reterr)
{
        Shoal__V1__ListTransactionsRequest request = SHOAL__V1__LIST_TRANSACTIONS_REQUEST__INIT;
        ProtobufCMessage *reply = NULL;
        enum err_code rc;

        request.unresolved_only = (c->options->given & OPTION_UNRESOLVED) != 0;
        request.transaction_id = (char *)(uintptr_t)id;
        rc = remote_call(c->topo, "/shoal.v1.Topo/ListTransactions", &request.base,
                         &shoal__v1__list_transactions_response__descriptor, &reply, reterr);
        if (!rc)
                *ret_reply = (Shoal__V1__ListTransactionsResponse *)reply;
        return rc;
}

enum err_code admin_transaction_list(const struct admin_context *c, struct err *reterr)
{
        Shoal__V1__ListTransactionsResponse *reply = NULL;
        enum err_code rc = ask_list(c, "", &reply, reterr);

        if (rc)
                return rc;
        if (c->json)
                rc = admin_print_json(c, admin_list_json(reply->n_transactions,
                                                         (void **)reply->transactions,
                                                         transaction_json));
        else
                print_list(c, reply);
        shoal__v1__list_transactions_response__free_unpacked(reply, NULL);
        return rc;
}

static enum err_code show(const struct admin_context *c, const Shoal__V1__TransactionRecord *t)
{
        if (c->json)
                return admin_print_json(c, transaction_json(t));
        print_one(c, t);
        return ERR_OK;
}

enum err_code admin_transaction_show(const struct admin_context *c, struct err *reterr)
{
        Shoal__V1__ListTransactionsResponse *reply = NULL;
        enum err_code rc = ask_list(c, c->names[0], &reply, reterr);

        if (rc)
                return rc;
        if (reply->n_transactions)
                rc = show(c, reply->transactions[0]);
        else
                rc =
                    err_set(reterr, ERR_NOT_FOUND, "UNKNOWN_TRANSACTION",
                            "topo knows nothing of transaction %s: it has not been decided, and no "
                            "tablet waits for it",
                            c->names[0]);
        shoal__v1__list_transactions_response__free_unpacked(reply, NULL);
        return rc;
}

enum err_code admin_transaction_resolve(const struct admin_context *c, struct err *reterr)
{
        Shoal__V1__ResolveTransactionRequest request = SHOAL__V1__RESOLVE_TRANSACTION_REQUEST__INIT;
        ProtobufCMessage *reply = NULL;
        enum err_code rc;

        request.transaction_id = (char *)(uintptr_t)c->names[0];
        rc = remote_call(c->topo, "/shoal.v1.Topo/ResolveTransaction", &request.base,
                         &shoal__v1__transaction_record__descriptor, &reply, reterr);
        if (rc)
                return rc;
        rc = show(c, (Shoal__V1__TransactionRecord *)reply);
        protobuf_c_message_free_unpacked(reply, NULL);
        return rc;
}
