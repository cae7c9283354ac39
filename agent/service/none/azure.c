/* agent/service/none/azure.c -- until cloud/queue_azure.c is there. */
#include "cloud/queue.h"

int queue_azure_new(struct loop *l, struct http *http, const struct queue_azure_settings *s,
                    struct queue **ret_queue, struct err *e)
{
    (void)l;
    (void)http;
    (void)s;
    (void)ret_queue;
    return err_set(e, ERR_CONFIG, 0, "engine = azure is not in this build");
}
