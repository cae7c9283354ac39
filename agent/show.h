/* agent/show.h -- what `cordon show` has in hand (cmd_show.c), and its telling (show_tell.c). */
#ifndef CORDON_AGENT_SHOW_H
#define CORDON_AGENT_SHOW_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/world.h"
#include "base/loop.h"
#include "base/text.h"
#include "ldap/account.h"
#include "ldap/name.h"

#define WAYS_MAX 16

struct way { /* one group, or SID of old, that means privilege */
    struct ad_sid sid;
    const char *name; /* borrowed: a constant or the policy's */
    bool history;     /* by sIDHistory, not by membership */
    char how[400];    /* "member of Domain Admins through ...": safe to show */
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
};

/* The account in hand, on stdout: one JSON object, or words. Judged by the guard of the actions. */
void show_tell(const struct show *s);
void show_emit(struct text *t); /* to stdout, whole; frees it */

#endif
