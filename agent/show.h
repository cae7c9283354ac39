/* agent/show.h -- what `cordon show` has in hand (cmd_show.c), and its telling (show_tell.c). */
#ifndef CORDON_AGENT_SHOW_H
#define CORDON_AGENT_SHOW_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/world.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/text.h"
#include "cloud/entra.h"
#include "ldap/account.h"
#include "ldap/name.h"

#define WAYS_MAX 16

struct way { /* one group, or SID of old, that means privilege */
    struct ad_sid sid;
    const char *name; /* borrowed: a constant or the policy's */
    bool history;     /* by sIDHistory, not by membership */
    char how[400];    /* "member of Domain Admins through ...": safe to show */
};

struct show;

struct show_entra { /* the Entra half of the account in hand */
    bool asked, found;
    struct entra_user user;
    enum err_code code; /* not found: why */
    char rule[40], why[520], not_asked[300];
    void (*done)(struct show *s);
};

struct show {
    const char *command, *dc_only, *domain;
    char **accounts;
    size_t count, at;
    bool json, as_agent;

    struct loop *loop;
    struct world world;
    struct loop_timer *later;
    int exit;
    unsigned tries;

    /* the account in hand */
    struct ad_dc *dc;
    struct ad_name name;
    struct ad_found found;
    struct ad_account *account;
    bool asked, may_uac, may_pwd; /* allowedAttributesEffective: what the DC would let us write */
    struct way ways[WAYS_MAX];
    size_t way_count, way_at;
    struct show_entra entra;
    struct err missing; /* in AD */
};

/* The account in hand, on stdout: one JSON object, or words. Judged by the guard of the actions. */
void show_tell(const struct show *s);
/* show_cloud.c: `done` once, from the loop. */
int show_cloud_start(struct show *s, void (*done)(struct show *s), struct err *e);
void show_cloud_done(struct show *s); /* forgets */
void show_cloud_json(const struct show *s, struct json_out *o);
void show_cloud_text(const struct show *s, struct text *t);
void show_cloud_alone(const struct show *s); /* an account that is not in AD */
void show_emit(struct text *t);              /* to stdout, whole; frees it */

#endif
