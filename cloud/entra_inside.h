/* cloud/entra_inside.h -- what the entra*.c files share; nobody else's. */
#ifndef CORDON_CLOUD_ENTRA_INSIDE_H
#define CORDON_CLOUD_ENTRA_INSIDE_H

#include "base/loop.h"
#include "cloud/entra.h"

/* One question of several requests, one after the other. The first member of each kind. */
struct entra_call {
    struct graph *g;
    struct loop *loop;
    struct graph_call *call; /* under way, or NULL */
    struct loop_timer *timer;
    bool canceled;
    void (*hurry)(struct entra_call *c); /* what cancel does beyond */
};

extern const char entra_select[];
bool entra_id_ok(const char *id);

/* GET `path` (and ?$select where it ends in "$select="). */
int entra_get(struct entra_call *c, const char *path, int flags, graph_cb cb, void *arg,
              struct err *e);
/* A text inside an OData literal, quotes doubled, percent-encoded. */
void entra_literal(struct text *t, const char *s);
/* base64 of 16 bytes, 24 characters and NUL. */
void entra_base64(const uint8_t guid[16], char out[25]);

#endif
